"""`paka evaluate`: several encoders on one labelled data set, and a report that compares them."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paka.cli.errors import STOPPED, fail, reporting_errors
from paka.cli.options import EvaluateAssignments, Protocols
from paka.cli.reports import show_report

if TYPE_CHECKING:
    from paka.evaluation.config import EvaluateConfig
    from paka.run_folder import RunFolder


def evaluate(
    encoders: Annotated[
        list[str],
        typer.Argument(
            help="name, name@weights or the folder of a run; the first is the base that the "
            "others are held against."
        ),
    ],
    on: Annotated[
        Path,
        typer.Option(
            help="Folder of a labelled data set: VOC 2012, ADE20K, COCO-Stuff, Cityscapes, or "
            "images/{train,val} with masks/{train,val}.",
            show_default=False,
        ),
    ],
    protocol: Protocols = None,
    size: Annotated[
        int, typer.Option(help="Side of the images in pixels, a multiple of every patch size.")
    ] = 224,
    seeds: Annotated[str, typer.Option(help="What has chance in it is repeated for each.")] = (
        "0,1,2"
    ),
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write to. What was measured there in the same way is not measured "
            "again.",
            show_default="runs/evaluation-DATASET-TIME",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of features that evaluations may share and that stays.",
            show_default="in the output folder, gone in the end",
        ),
    ] = None,
    assignments: EvaluateAssignments = None,
) -> None:
    """Measure how well encoders' patch features tell what is where.

    \b
    paka evaluate vit_small_patch14_reg4_dinov2.lvd142m runs/my-run --on camvid
    paka evaluate runs/a runs/b runs/c --on VOC2012 --protocol in_context --size 448

    Prints a table with 95 % intervals, and writes it as JSON and Markdown, and a page with
    pictures. What each number means is in docs/evaluation.md. Ctrl-C leaves; the same command with
    --out goes on. Exit codes: 0 finished, 1 failed, 2 settings that cannot work, 3 stopped.
    """
    with reporting_errors():
        from paka.extras import require_method

        require_method("an evaluation")
        given = {"protocols": protocol, "cache": cache and str(cache.expanduser().absolute())}
        settings = gather(encoders, on, size, seeds, given, assignments or [])
        run = prepare(settings, out)
        launch(run)
        show_report(run.path)


def gather(
    encoders: list[str],
    dataset: Path,
    size: int,
    seeds: str,
    given: dict[str, Any],
    assignments: list[str],
) -> "EvaluateConfig":
    """The settings, checked; paths are absolute.

    Args:
        given: other settings; those that are None are left out.

    Raises:
        ConfigError: listing all that cannot be used.
    """
    from pydantic import ValidationError

    from paka.cli.errors import describe
    from paka.cli.reference import read_reference
    from paka.cli.settings import parse_assignment, setting_names
    from paka.errors import ConfigError
    from paka.evaluation.config import EvaluateConfig
    from paka.presets import merge

    settings: dict[str, Any] = {
        "encoders": [read_reference(encoder) for encoder in encoders],
        "dataset": str(dataset.expanduser().absolute()),
        "size": size,
        "seeds": seeds.split(","),
        **{name: value for name, value in given.items() if value is not None},
    }
    for assignment in assignments:
        settings = merge(settings, parse_assignment(assignment, EvaluateConfig))
    try:
        return EvaluateConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(describe(error, list(setting_names(EvaluateConfig)))) from None


def prepare(settings: "EvaluateConfig", out: Path | None) -> "RunFolder":
    """The output folder with config.json in it.

    Raises:
        DataError: the data set cannot be read; then no folder is made.
        ConfigError: the folder is that of something else, such as a training.
    """
    from paka.errors import ConfigError
    from paka.evaluation.datasets import open_labelled
    from paka.files import read_json, write_json
    from paka.run_folder import RunFolder

    open_labelled(Path(settings.dataset), settings.layout)
    if out is None:
        now = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        out = Path("runs") / f"evaluation-{Path(settings.dataset).name}-{now}"
    out.mkdir(parents=True, exist_ok=True)
    run = RunFolder(out)
    if run.config.exists() and "protocols" not in read_json(run.config):
        raise ConfigError(f"--out {out} holds a run of another kind; give a folder of its own")
    write_json(run.config, settings.model_dump(mode="json"))
    return run


def launch(run: "RunFolder") -> None:
    """Evaluate and show the progress; leaves with an exit code unless it finishes."""
    from paka.cli.progress import follow
    from paka.process import StopFlag

    run.outcome.unlink(missing_ok=True)
    log_file, stop = run.path / "evaluate.log", StopFlag().install()
    command = [sys.executable, "-m", "paka.evaluate", "--run", str(run.path)]
    with log_file.open("ab") as log:
        # In a session of its own, Ctrl-C reaches this process only, which passes it on.
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        follow(process, [run.metrics], stop, "evaluating", "stopping")
    outcome = run.read_outcome()
    if outcome is not None and outcome.outcome == "failed":
        fail(f"{outcome.error}\nsee {log_file}")
    if outcome is not None and outcome.outcome == "finished":
        return
    if outcome is None and not stop:
        fail(f"the evaluation ended with {process.returncode} and left no word; see {log_file}")
    typer.echo(f"stopped; the same command with --out {quote(str(run.path))} goes on")
    raise typer.Exit(STOPPED)
