"""`paka train`: start a run, or go on with one, and show how it comes along."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from paka.cli.errors import FAILED, shown_errors

if TYPE_CHECKING:
    from paka.config import TrainConfig
    from paka.run_folder import RunFolder


def train(
    dataset: Annotated[
        Path | None, typer.Argument(help="Folder of images, searched with its sub-folders.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Starting point: paper, light (default) or tiny.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting, such as optim.lr_encoder=1e-4; repeatable."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of the run. One that exists goes on from its last checkpoint."),
    ] = None,
) -> None:
    """Post-train an encoder on a folder of images.

    Examples:

      paka train photos --preset tiny

      paka train photos --set encoder=vit_small_patch14_reg4_dinov2.lvd142m@weights.safetensors

      paka train --run runs/earlier        (goes on with a run)
    """
    with shown_errors():
        folder = _prepare(dataset, preset, config, assignments or [], run)
        raise typer.Exit(_follow(folder))


def _prepare(
    dataset: Path | None,
    preset: str | None,
    config: Path | None,
    assignments: list[str],
    run: Path | None,
) -> "RunFolder":
    """Return the run's folder with its config.json: a new run's, or the one that goes on."""
    from paka.cli.settings import read_settings
    from paka.config import TrainConfig
    from paka.files import write_json
    from paka.run_folder import RunFolder

    asked = None
    resuming = run is not None and (run / "config.json").exists()
    if not resuming or dataset or preset or config or assignments:
        asked = read_settings(dataset, preset, config, assignments)
    if resuming:
        folder = RunFolder(Path(run or ""))
        before = TrainConfig.model_validate_json(folder.config.read_text())
        if asked is not None:
            _check_same(before, asked, folder.path)
        typer.echo(f"going on with {folder.path}")
        return folder
    assert asked is not None
    folder = RunFolder(run or _new_folder(asked))
    folder.path.mkdir(parents=True, exist_ok=True)
    write_json(folder.config, asked.model_dump(mode="json"))
    return folder


def _new_folder(config: "TrainConfig") -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{config.encoder.architecture}-{Path(config.dataset).name}-{stamp}"


def _check_same(before: "TrainConfig", asked: "TrainConfig", folder: Path) -> None:
    from paka.errors import ConfigError

    one, other = before.model_dump(mode="json"), asked.model_dump(mode="json")
    differing = [
        f"{section}.{key}" if isinstance(one[section], dict) else section
        for section in one
        for key in (one[section] if isinstance(one[section], dict) else [""])
        if (one[section][key] != other[section][key] if key else one[section] != other[section])
    ]
    if differing:
        raise ConfigError(
            f"{folder} was started with other settings ({', '.join(differing)}); go on with "
            f"`paka train --run {folder}` alone, or name another folder"
        )


def _follow(run: "RunFolder") -> int:
    """Run the training processes to their end, showing progress; return the exit code."""
    from paka.cli.progress import follow

    # A flag of an earlier end must not be taken for this one's.
    run.outcome.unlink(missing_ok=True)
    typer.echo(f"run folder {run.path}, log in {run.path / 'train.log'}")
    with (run.path / "train.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "paka.launch", "--run", str(run.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with _passing_on_signals(process):
        follow(run, process)
    return _report(run)


@contextmanager
def _passing_on_signals(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the training for a checkpoint, once."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        typer.echo("stopping: waiting for a checkpoint")
        process.terminate()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(run: "RunFolder") -> int:
    from paka.files import read_json
    from paka.run_folder import EXIT_CODES

    outcome = run.read_outcome()
    if outcome is None:
        typer.echo(f"paka: the training was killed; see {run.path / 'train.log'}", err=True)
        return FAILED
    if outcome.outcome == "failed":
        typer.echo(f"paka: {outcome.error}", err=True)
    if outcome.outcome == "stopped":
        typer.echo(f"checkpoint at step {outcome.step}; go on with: paka train --run {run.path}")
    if outcome.outcome == "finished":
        weights = run.final / "encoder.safetensors"
        name = read_json(run.final / "meta.json")["architecture"]
        typer.echo(f"encoder {weights}\n  DenseEncoder({name!r}, {str(weights)!r})")
        typer.echo(
            f"  timm.create_model({name!r}, num_classes=0, checkpoint_path={str(weights)!r})"
        )
        typer.echo(f"look: paka show loss {run.path}")
    return EXIT_CODES[outcome.outcome]
