"""Training in one process and in two, each with one thread, joined by gloo.

Each process has the same batch, so that a step computes the same in each; trainings in one and in
two take turns. Communication is what torch's `DistributedDataParallel` counts: how long gradients
were on their way during a backward pass, waiting for the other process included.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, run
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.parallel import DistributedDataParallel

from benchmarks.measure import Spread
from benchmarks.scaling.growth import Growth
from benchmarks.scaling.training import config_of
from benchmarks.steps import timed
from paka.config import TrainConfig
from paka.distributed import Processes
from paka.process import StopFlag
from paka.run_folder import RunFolder
from paka.trainer import Trainer

PROCESSES = (1, 2)
_BATCH = 8
_WARM_UP = 2
_TURNS = 2


class Steps(NamedTuple):
    """Seconds of each step after the first few, and of its communication."""

    seconds: list[float]
    communication: list[float]


def growths(images: Path, repeats: int) -> Iterator[Growth]:
    """Measure one process, and two."""
    found = {count: Steps([], []) for count in PROCESSES}
    for _ in range(_TURNS):
        for count, steps in found.items():
            more = _trained(images, count, repeats)
            steps.seconds.extend(more.seconds)
            steps.communication.extend(more.communication)
    rows = [(count, _costs(steps)) for count, steps in found.items()]
    about = ("images/s of each", "communication, share of a step")
    yield Growth("Processes: the starter encoder, batch 8 each", "processes", about, rows)


def _trained(images: Path, count: int, repeats: int) -> Steps:
    change = {"optim": {"batch_size": _BATCH * count}, "runtime": {"processes": count}}
    with tempfile.TemporaryDirectory(prefix="paka-scaling-") as folder:
        config = config_of(images, _WARM_UP + repeats, change)
        RunFolder(Path(folder)).config.write_text(config.model_dump_json())
        launch = ["torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        command = [sys.executable, "-m", *launch, "--module", __name__, folder]
        run(command, check=True, stdout=DEVNULL)
        return Steps(**json.loads(Path(folder, "figures.json").read_text()))


def _costs(steps: Steps) -> tuple[Spread | float, ...]:
    rate = Spread.of([_BATCH / seconds for seconds in steps.seconds])
    shared = statistics.median(steps.communication) if steps.communication else 0.0
    return rate, shared / statistics.median(steps.seconds)


def main() -> None:
    """Be one of the processes; the first writes the figures."""
    torch.set_num_threads(1)
    taken: list[float] = []

    def after_forward(module: nn.Module, _inputs: Any, _output: Any) -> None:
        if isinstance(module, DistributedDataParallel):
            taken.append(_communication(module))

    folder, processes = RunFolder(Path(sys.argv[1])), Processes()
    config = TrainConfig.model_validate_json(folder.config.read_text())
    device = processes.device(config.runtime.device)
    with processes.joined(device, StopFlag()), register_module_forward_hook(after_forward):
        seconds = timed(Trainer(config, folder, processes=processes).run, _WARM_UP).seconds
    if processes.first:
        # What is known after a step's forward pass is of the step before.
        figures = Steps(seconds, taken[_WARM_UP + 1 :])
        (folder.path / "figures.json").write_text(json.dumps(figures._asdict()))


def _communication(module: DistributedDataParallel) -> float:
    """Seconds in the last backward pass."""
    module._set_ddp_runtime_logging_sample_rate(1)  # of the first ten steps alone, else
    return float(module._get_ddp_logging_data().get("backward_comm_time", 0)) / 1e9


if __name__ == "__main__":
    main()
