"""`paka train`: settings to a run folder, the training as a child process, its result in words."""

import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from paka.cli.completion import complete_architecture
from paka.cli.errors import STOPPED, fail, reporting_errors
from paka.cli.options import Assignments, Config, Preset
from paka.cli.reports import show_report

if TYPE_CHECKING:
    from paka.cli.settings import Given
    from paka.config import TrainConfig
    from paka.nodes import Node
    from paka.run_folder import RunFolder


def train(
    dataset: Annotated[
        Path | None,
        typer.Argument(
            help="Data set: a folder of images with its sub-folders, a .tar, .zip or folder of "
            "such shards, or what `datasets` saved to disk; no labels are needed."
        ),
    ] = None,
    preset: Preset = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="name, name@weights or the folder of a run.",
            show_default="the preset's",
            autocompletion=complete_architecture,
        ),
    ] = None,
    config: Config = None,
    assignments: Assignments = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write to. One with a run in it goes on from its last checkpoint.",
            show_default="runs/ENCODER-DATASET-TIME",
        ),
    ] = None,
    node_rank: Annotated[
        int,
        typer.Option(min=0, help="Of a run on several hosts (runtime.nodes): which one this is."),
    ] = 0,
    rendezvous: Annotated[
        str | None,
        typer.Option(
            help="Of a run on several hosts: host:port at which all reach --node-rank 0.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and print all settings as YAML, then leave.")
    ] = False,
) -> None:
    """Post-train an encoder on a data set of images.

    \b
    paka train photos                                     DINOv2 ViT-S/14, 25 epochs
    paka train photos --preset tiny                       to try it out without a GPU
    paka train photos --encoder vit_base_patch16_224.mae --set optim.epochs=5
    paka train photos --set runtime.processes=4 --set views.global_size=518
    paka train --run runs/my-run                          go on where it was stopped

    On several hosts the same command runs on each, with another --node-rank; the first one has the
    result. The data set must be at the same path on all:

    \b
    paka train photos --set runtime.nodes=2 --set runtime.processes=16 --run runs/large \\
      --node-rank 0 --rendezvous 10.0.0.5:29500

    Ctrl-C writes a checkpoint and leaves. Exit codes: 0 finished, 1 failed, 2 settings that cannot
    work, 3 stopped.
    """
    with reporting_errors():
        from paka.cli.settings import gather, to_yaml
        from paka.extras import require_method

        given = gather(
            config,
            assignments or (),
            dataset=None if dataset is None else str(dataset),
            encoder=encoder,
            preset=preset,
        )
        run = run_of_node(run, node_rank)
        settings = choose_settings(run, given)
        if dry_run:
            typer.echo(to_yaml(settings), nl=False)
            return
        require_method("a training")
        node = choose_node(settings, node_rank, rendezvous)
        folder = prepare_run(run, settings)
        # Other hosts cannot know that the first has the result, and wait for it to say so.
        if node is None and is_done(folder, settings):
            typer.echo(f"the run in {folder.path} has finished already")
        else:
            launch(folder, node)
        if node_rank:
            typer.echo(f"node {node_rank} has done its part; the result is with the first")
        else:
            report(folder, settings)


def run_of_node(run: Path | None, rank: int) -> Path | None:
    """The folder of one node of a run, which may be on a disk that hosts share."""
    return run if run is None or rank == 0 else run / "nodes" / str(rank)


def choose_node(settings: "TrainConfig", rank: int, rendezvous: str | None) -> "Node | None":
    """Which node of a run on several hosts this one is; None of a run on one.

    Raises:
        ConfigError: it is not said, or there is no such node, or only one.
    """
    from paka.errors import ConfigError
    from paka.nodes import Node, split_endpoint

    nodes = settings.runtime.nodes
    if rank >= nodes:
        raise ConfigError(f"--node-rank {rank} is too large: runtime.nodes is {nodes}")
    if nodes == 1:
        return None
    if rendezvous is None:
        raise ConfigError(
            f"runtime.nodes {nodes} needs --rendezvous host:port, where all reach the first host, "
            "and on each host its --node-rank; see docs/scaling.md"
        )
    split_endpoint(rendezvous)
    return Node(rank, nodes, rendezvous)


def is_done(run: "RunFolder", settings: "TrainConfig") -> bool:
    """Whether the encoder is there, and its evaluation if one was asked for."""
    from paka.evaluation.report_schema import FILES

    trained = (run.final / "meta.json").exists()
    evaluated = settings.evaluate is None or (run.evaluation / FILES["html"]).exists()
    return trained and evaluated


def choose_settings(run: Path | None, given: "Given") -> "TrainConfig":
    """The settings of the run in `run` if there is one, else of a new run.

    Raises:
        ConfigError: they cannot be used, or differ from those of the run.
    """
    from paka.cli.settings import new_config, same_config
    from paka.run_folder import RunFolder

    if run is not None and RunFolder(run).config.exists():
        return same_config(RunFolder(run).config, given)
    return new_config(given)


def prepare_run(run: Path | None, settings: "TrainConfig") -> "RunFolder":
    """The run's folder with its config.json in it.

    Raises:
        DataError: a new run's data set is not there; then no folder is made.
    """
    from paka.data.images import kind_of
    from paka.files import write_json
    from paka.run_folder import RunFolder

    if run is not None and RunFolder(run).config.exists():
        return RunFolder(run)
    kind_of(Path(settings.dataset))
    folder = RunFolder(new_folder(settings) if run is None else run)
    folder.path.mkdir(parents=True, exist_ok=True)
    write_json(folder.config, settings.model_dump(mode="json"))
    return folder


def new_folder(settings: "TrainConfig") -> Path:
    """Make a folder of its own for a run, even where several start in the same second."""
    now = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    name = f"{settings.encoder.architecture}-{Path(settings.dataset).name}-{now}"
    number = 1
    while True:
        folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


def launch(run: "RunFolder", node: "Node | None" = None) -> None:
    """Run the training and show its progress; leaves with an exit code unless it finishes."""
    from paka.cli.progress import follow
    from paka.process import StopFlag
    from paka.run_folder import list_checkpoints

    found = [*list_checkpoints(run.checkpoints), *run.path.glob("final")]
    typer.echo(f"going on from {found[-1]}" if found else f"run {run.path}")
    run.outcome.unlink(missing_ok=True)
    stop = StopFlag().install()
    command = [sys.executable, "-m", "paka.launch", "--run", str(run.path)]
    with (run.path / "train.log").open("ab") as log:
        # In a session of its own, Ctrl-C reaches this process only, which passes it on.
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | (node.to_environment() if node else {}),
        )
        follow(process, [run.metrics, run.evaluation / run.metrics.name], stop)
    check_ending(run, process.returncode, asked=bool(stop))


def check_ending(run: "RunFolder", code: int, asked: bool) -> None:
    """Say how a training that did not finish ended, and leave with an exit code.

    Args:
        code: its process's exit code, negative if a signal killed it.
        asked: it had been asked to stop.
    """
    outcome, log = run.read_outcome(), run.path / "train.log"
    go_on = f"go on with: paka train --run {quote(str(run.path))}"
    if outcome is None and not asked:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        fail(f"the training {how} and left no word; see {log}; {go_on}")
    if outcome is not None and outcome.outcome == "failed":
        fail(f"{outcome.error}\nsee {log}")
    if outcome is None or outcome.outcome == "stopped":
        what = f"checkpoint of step {outcome.step} written" if outcome else "stopped before a step"
        typer.echo(f"{what}; {go_on}")
        raise typer.Exit(STOPPED)


def report_warnings(run: "RunFolder") -> None:
    """Say what the user should know although the run has finished."""
    from paka.files import read_json_lines

    messages = [row["message"] for row in read_json_lines(run.warnings)]
    if skipped := len(read_json_lines(run.skipped)):
        messages.append(f"{skipped} images cannot be read and were skipped; see {run.skipped}")
    for message in messages:
        typer.echo(f"warning: {message}", err=True)


def report(run: "RunFolder", settings: "TrainConfig") -> None:
    """Draw the loss, and say where the encoder is and how it is used."""
    from paka.cli.reference import in_timm
    from paka.plots import loss_curve

    if settings.evaluate is not None:
        show_report(run.evaluation)
    picture = run.path / "loss.png"
    loss_curve(run.read_metrics(), run.path.name).savefig(picture)
    name, weights = settings.encoder.architecture, run.final / "encoder.safetensors"
    base, folder = quote(settings.encoder.reference), quote(str(run.path))
    report_warnings(run)
    typer.echo(
        f"finished\n"
        f"  encoder   {weights}\n"
        f"  in timm   {in_timm(name, weights)}\n"
        f'  in paka   paka.DenseEncoder("{name}", "{weights}")\n'
        f"  features  paka embed IMAGES --encoder {folder} --output features.safetensors\n"
        f"  picture   paka show features IMAGE --encoder {base} --encoder {folder} "
        f"--output features.png\n"
        f"  loss      {picture}"
    )
