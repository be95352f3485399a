"""Training in one process and in two, each with one thread, joined by gloo.

Each process has the same batch, so that a step computes the same in each. Communication is what
torch's `DistributedDataParallel` counts: how long gradients were on their way during a backward
pass, waiting for the other process included.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL, run
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
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


def growths(images: Path, repeats: int) -> Iterator[Growth]:
    """Measure one process, and two."""
    rows: list[tuple[int, tuple[Spread | float, ...]]] = []
    for count in PROCESSES:
        change = {"optim": {"batch_size": _BATCH * count}, "runtime": {"processes": count}}
        with tempfile.TemporaryDirectory(prefix="paka-scaling-") as folder:
            config = config_of(images, _WARM_UP + repeats, change)
            RunFolder(Path(folder)).config.write_text(config.model_dump_json())
            launch = ["torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
            command = [sys.executable, "-m", *launch, "--module", __name__, folder]
            run(command, check=True, stdout=DEVNULL)
            figures = json.loads(Path(folder, "figures.json").read_text())
        seconds = Spread.of(figures["seconds"])
        rate = Spread.of([_BATCH / one for one in figures["seconds"]])
        rows.append((count, (rate, figures["communication"] / seconds.median)))
    about = ("images/s of each", "communication, share of a step")
    yield Growth("Processes: the starter encoder, batch 8 each", "processes", about, rows)


def main() -> None:
    """Be one of the processes; the first writes the figures."""
    torch.set_num_threads(1)
    joined: list[DistributedDataParallel] = []

    def before_module(module: nn.Module, _inputs: Any) -> None:
        if isinstance(module, DistributedDataParallel) and not joined:
            joined.append(module)

    folder, processes = RunFolder(Path(sys.argv[1])), Processes()
    config = TrainConfig.model_validate_json(folder.config.read_text())
    device = processes.device(config.runtime.device)
    with processes.joined(device, StopFlag()), register_module_forward_pre_hook(before_module):
        steps = timed(Trainer(config, folder, processes=processes).run, _WARM_UP)
        figures = {"seconds": steps.seconds, "communication": sum(map(_communication, joined))}
    if processes.first:
        (folder.path / "figures.json").write_text(json.dumps(figures))


def _communication(module: DistributedDataParallel) -> float:
    """Seconds in a step."""
    return float(module._get_ddp_logging_data()["avg_backward_comm_time"]) / 1e9


if __name__ == "__main__":
    main()
