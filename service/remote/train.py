"""`paka remote train`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paka.cli.options import Assignments, Config, Preset
from service.remote.completion import complete_dataset, complete_encoder
from service.remote.follow import announce, wait_for
from service.remote.options import AsJson, Low, Name, Private, Wait, connected

if TYPE_CHECKING:
    from service.client import DryRun


def train(
    context: typer.Context,
    dataset: Annotated[
        str,
        typer.Argument(
            help="Name or path on the server of a folder of images; see `datasets` and `upload`.",
            autocompletion=complete_dataset,
        ),
    ],
    preset: Preset = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="name, name@weights or the id of a post-trained encoder.",
            show_default="the preset's",
            autocompletion=complete_encoder,
        ),
    ] = None,
    evaluate: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            help="Labelled data set on the server, to compare before and after.",
            show_default=False,
            autocompletion=complete_dataset,
        ),
    ] = None,
    config: Config = None,
    assignments: Assignments = None,
    name: Name = None,
    private: Private = False,
    low: Low = False,
    slots: Annotated[
        int | None,
        typer.Option(help="GPUs that it holds.", show_default="one for each process", min=1),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only say what it would need, and when it would start."),
    ] = False,
    wait: Wait = False,
    json: AsJson = False,
) -> None:
    """Post-train an encoder on images on the server.

    \b
    paka remote train photos --preset tiny --wait
    paka remote train photos --encoder vit_base_patch16_224.mae --set optim.epochs=5
    paka remote train photos --evaluate labelled --name "our photographs"
    paka remote train photos --dry-run

    Ctrl-C while waiting leaves the job running.
    """
    with connected(context) as client, hinting_at_upload(dataset):
        settings = read_settings(config, assignments or [])
        given: dict[str, Any] = {
            "encoder": encoder,
            "preset": preset,
            "evaluate": evaluate,
            "name": name,
            "visibility": "private" if private else None,
            "priority": "low" if low else None,
            "slots": slots,
        }
        given = settings | {key: value for key, value in given.items() if value is not None}
        if dry_run:
            show_dry_run(client.dry_run(dataset, **given), json)
            return
        job = client.train(dataset, **given)
        if wait:
            job = wait_for(client, job)
        announce(job, json)


def read_settings(config: Path | None, assignments: list[str]) -> dict[str, Any]:
    """Settings from a file, and from the command line on top.

    Raises:
        ConfigError: not YAML, or an unknown key; the nearest ones are named.
    """
    from paka.cli.settings import parse_assignment, read_file
    from paka.presets import merge

    settings = read_file(config) if config else {}
    settings.pop("dataset", None)
    for assignment in assignments:
        settings = merge(settings, parse_assignment(assignment))
    return settings


@contextmanager
def hinting_at_upload(dataset: str) -> Iterator[None]:
    """Say what is wrong when somebody names a folder of their own machine."""
    from service.client import InvalidRequest

    try:
        yield
    except InvalidRequest as error:
        if "dataset" in error.fields and Path(dataset).is_dir():
            hint = f"{dataset} is a folder of this machine: first paka remote upload {dataset}"
            typer.echo(hint, err=True)
        raise


def show_dry_run(found: "DryRun", json: bool) -> None:
    """What a training would need."""
    from service.remote import show

    if json:
        show.print_json(found)
        return
    start = found.start_in_seconds
    show.facts(
        {
            "memory": f"{show.size(found.memory_bytes)} for each process",
            "time": f"{show.duration(found.seconds)} for {found.total_steps} steps",
            "starts": "nobody can tell" if start is None else f"in {show.duration(start)}",
            "device": f"{found.device} ({found.basis})",
            "fits on": ", ".join(fit.worker for fit in found.fits) or "none of the workers",
        }
    )
