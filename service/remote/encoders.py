"""`paka remote encoders` and `download`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.remote.completion import complete_encoder_or_job
from service.remote.options import AsJson, Limit, connected

if TYPE_CHECKING:
    from service.client import Encoder


def encoders(
    context: typer.Context,
    base: Annotated[
        bool, typer.Option("--base", help="The architectures that can be post-trained, instead.")
    ] = False,
    search: Annotated[
        str,
        typer.Option(help="Only those in whose id, name or base each of these words is found."),
    ] = "",
    limit: Limit = 20,
    json: AsJson = False,
) -> None:
    """List the encoders that jobs made, newest first."""
    from service.remote import show

    with connected(context) as client:
        found = client.encoders(kind="base" if base else "post-trained", search=search, limit=limit)
        if json:
            show.print_json(found)
        elif base:
            rows = ((e.id, e.patch_size, e.dim, e.depth, e.size) for e in found)
            show.table(None, ("id", "patch#", "dim#", "depth#", "default size#"), rows)
        else:
            columns = ("id", "architecture", "steps#", "size#", "user", "age", "name")
            show.table(None, columns, map(_row, found))


def download(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="ENCODER|JOB",
            help="Id of an encoder, or of a job that embedded a data set.",
            autocompletion=complete_encoder_or_job,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File, or for features a folder.",
            show_default="ENCODER.safetensors, JOB",
        ),
    ] = None,
) -> None:
    """Fetch an encoder as safetensors that timm loads, or the features that a job made.

    \b
    paka remote download enc_… --output encoder.safetensors
    paka remote download job_… --output features
    """
    from paka.cli.reference import in_timm

    with connected(context) as client:
        if what.startswith("job_"):
            found = client.job(what)
            if found.encoder is None:
                folder = output or Path(what)
                client.download_features(what, folder)
                typer.echo(f"written to {folder}")
                return
            what = found.encoder
        encoder = client.encoder(what)
        file = client.download_weights(encoder, output or Path(f"{encoder.id}.safetensors"))
        typer.echo(f"written to {file}\n  in timm   {in_timm(encoder.architecture, file)}")


def _row(encoder: "Encoder") -> tuple[object, ...]:
    from service.remote import show

    return (
        encoder.id,
        encoder.architecture,
        encoder.steps,
        show.size(encoder.bytes),
        encoder.user,
        show.age(encoder.created_at),
        encoder.name,
    )
