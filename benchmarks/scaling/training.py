"""Steps of a training with more images, more crops or more patches, each in a fresh process.

All sizes are measured one after the other, and again: how fast a machine is may change in minutes.
"""

import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import Spread
from benchmarks.scaling.growth import Growth
from benchmarks.steps import Timed, timed
from paka.config import TrainConfig
from paka.presets import merge, resolve
from paka.run_folder import RunFolder
from paka.trainer import Trainer

THREADS = 2
_WARM_UP = 1
_TURNS = 3
_COSTS = ("s per step", "processor, s", "process, MiB", "loader, MiB")


def batches(images: Path, repeats: int) -> Iterator[Growth]:
    """More images in a step."""
    changes = {size: {"optim": {"batch_size": size}} for size in (1, 4, 16, 32, 64)}
    rows = _rows(images, repeats, changes)
    yield Growth("Batch size: the starter encoder", "images", _COSTS, rows)


def crops(images: Path, repeats: int) -> Iterator[Growth]:
    """More local crops of each image."""
    changes = {count: {"views": {"local_crops": count}} for count in (1, 2, 4, 8, 16)}
    rows = _rows(images, repeats, changes)
    yield Growth("Local crops: the starter encoder, batch 8", "crops", _COSTS, rows)


def patches(images: Path, repeats: int) -> Iterator[Growth]:
    """Larger global crops, so more patches for the teacher."""
    changes = {
        (size // 16) ** 2: {"views": {"global_size": size}, "optim": {"batch_size": 2}}
        for size in (112, 224, 448, 672, 896)
    }
    rows = _rows(images, repeats, changes)
    yield Growth("Global size: the starter encoder, batch 2", "patches", _COSTS, rows)


def config_of(images: Path, steps: int, change: Mapping[str, Any]) -> TrainConfig:
    """A training of the starter encoder, without what is not part of every step."""
    about = {
        "dataset": str(images.resolve()),
        "encoder": "vit_starter_patch16_224",
        "optim": {"batch_size": 8, "max_steps": steps},
        "runtime": {
            "device": "cpu",
            "workers": 1,
            "probe_images": 0,
            "checkpoint_every_steps": None,
            "checkpoint_every_minutes": None,
        },
    }
    return resolve(merge(about, change), "light")


def _rows(
    images: Path, repeats: int, changes: Mapping[int, Mapping[str, Any]]
) -> list[tuple[int, tuple[Spread | float, ...]]]:
    found: dict[int, list[Timed]] = {size: [] for size in changes}
    for _ in range(_TURNS):
        for size, change in changes.items():
            config = config_of(images, _WARM_UP + repeats, change)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
                found[size].append(fresh.submit(_timed, config).result())
    return [(size, _costs(trainings)) for size, trainings in found.items()]


def _costs(trainings: list[Timed]) -> tuple[Spread | float, ...]:
    return (
        Spread.of([seconds for one in trainings for seconds in one.seconds]),
        Spread.of([seconds for one in trainings for seconds in one.processor]),
        max(one.process_mib for one in trainings),
        max(one.loaders_mib for one in trainings),
    )


def _timed(config: TrainConfig) -> Timed:
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory(prefix="paka-scaling-") as folder:
        return timed(Trainer(config, RunFolder(Path(folder))).run, _WARM_UP)
