"""Estimates of memory and time against runs that were really made, on this machine's CPU.

    python -m benchmarks.estimate PHOTOS

Each encoder is trained for a few steps at two batch sizes, each in a fresh process with one thread.
Then each run is estimated three times: from the other run of its encoder (measured), from the runs
of the other encoders (scaled), and from none (model). Ratios are estimate over measurement.
Time is processor time per step, which other work on the machine disturbs less; the median of all
steps but the first. Memory is the process's highest resident size.
"""

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe
from paka.config import TrainConfig
from paka.estimate import Estimate, Measured, estimate
from paka.presets import resolve
from paka.run_folder import RunFolder
from paka.trainer import Trainer

BATCHES = {
    "test_vit@random": (16, 64),
    "vit_starter_patch16_224": (8, 32),
    "vit_tiny_patch16_224@random": (8, 24),
    "vit_small_patch16_224@random": (4, 12),
}
STEPS = 5


def settings(encoder: str, batch: int, dataset: str) -> TrainConfig:
    """The preset `light` for a few steps, with nothing beside training."""
    optim = {"batch_size": batch, "max_steps": STEPS}
    runtime = {"device": "cpu", "workers": 0, "log_every": 1, "probe_images": 0}
    return resolve({"encoder": encoder, "dataset": dataset, "optim": optim, "runtime": runtime})


def measure(config: TrainConfig) -> Measured:
    """Train; for a fresh process, whose peak is that of the run."""
    torch.set_num_threads(1)
    times = []
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        trainer = Trainer(config, run)
        after_step = trainer._after_step

        def timed() -> None:
            times.append(time.process_time())
            after_step()

        trainer._after_step = timed  # type: ignore[method-assign]
        trainer.run()
        memory = max(row["peak_memory_bytes"] for row in run.read_metrics())
    steps = [after - before for before, after in pairwise(times)]
    return Measured(config, "cpu", statistics.median(steps), memory)


def ratios(run: Measured, others: list[Measured]) -> tuple[str, str]:
    """Memory and time of an estimate as multiples of what was measured."""
    found: Estimate = estimate(run.config, 1000, "cpu", others)
    memory, seconds = found.memory_bytes / run.memory_bytes, found.step_seconds / run.step_seconds
    return f"{memory:.2f}", f"{seconds:.2f}"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder of images")
    photos = str(parser.parse_args().photos)
    console = Console(width=120)
    console.print(str(describe()))
    configs = [settings(name, batch, photos) for name, two in BATCHES.items() for batch in two]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        runs = list(pool.map(measure, configs))
    table = Table("encoder", "batch", "MiB", "s", *("measured", "scaled", "model"))
    for run in runs:
        own = run.config.encoder.architecture
        same = [r for r in runs if r.config.encoder.architecture == own and r is not run]
        other = [r for r in runs if r.config.encoder.architecture != own]
        cells = [", ".join(ratios(run, known)) for known in (same, other, [])]
        memory, seconds = f"{run.memory_bytes / 2**20:.0f}", f"{run.step_seconds:.2f}"
        table.add_row(own, str(run.config.optim.batch_size), memory, seconds, *cells)
    console.print(table)


if __name__ == "__main__":
    main()
