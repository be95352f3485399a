"""Data sets of many images: opening them, and what their names take where they are used."""

import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from torch.utils.data import DataLoader, Dataset

from benchmarks.measure import Spread
from benchmarks.memory import own_mib, resident_mib
from benchmarks.scaling.growth import Growth
from paka.data.images import open_images
from paka.data.sampling import locate
from paka.data.source import ImageSource

IMAGES = (1_000, 10_000, 100_000, 1_000_000)
_IN_A_FOLDER = 1000


class Costs(NamedTuple):
    """What a data set takes, in a fresh process; seconds are of the processor."""

    open_seconds: float
    mib: float
    first_ms: float
    loader_mib: float


class _EpochOfNames(Dataset[float]):
    """One item: the memory of its loading process, after an epoch in which each image was named."""

    def __init__(self, images: ImageSource) -> None:
        self.images = images

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _: int) -> float:
        before = own_mib()
        for position in range(len(self.images)):
            self.images.name(locate(position, 0, len(self.images))[1])
        return own_mib() - before


def growths(_images: Path, repeats: int) -> Iterator[Growth]:
    """Measure folders, and tars of the same names."""
    for kind, write in {"folder": write_folder, "tar": write_tar}.items():
        rows: list[tuple[int, tuple[Spread, ...]]] = []
        for count in IMAGES:
            with tempfile.TemporaryDirectory(prefix="paka-scaling-") as name:
                path = write(Path(name), count)
                context = get_context("spawn")
                with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as fresh:
                    found = list(fresh.map(costs, [path] * repeats))
            rows.append((count, tuple(map(Spread.of, zip(*found, strict=True)))))
        about = ("open, processor s", "names, MiB", "first image, ms", "in a loader, MiB")
        yield Growth(f"A {kind} of images", "images", about, rows)


def costs(path: Path) -> Costs:
    """Measure one data set; for a fresh process."""
    locate(0, 0, 1)  # what it imports is imported
    before, start = resident_mib("VmRSS"), time.process_time()
    images = open_images(path)
    opened, mib = time.process_time() - start, resident_mib("VmRSS") - before
    start = time.process_time()
    images.name(locate(0, 0, len(images))[1])
    first = time.process_time() - start
    loader = DataLoader(_EpochOfNames(images), batch_size=None, num_workers=1)
    return Costs(opened, mib, first * 1e3, next(iter(loader)))


def write_folder(parent: Path, count: int) -> Path:
    """Write empty files, a thousand in each sub-folder."""
    for number in range(count):
        folder = parent / f"{number // _IN_A_FOLDER:04d}"
        if number % _IN_A_FOLDER == 0:
            folder.mkdir()
        os.mknod(f"{folder}/photograph-{number:08d}.jpg")
    return parent


def write_tar(parent: Path, count: int) -> Path:
    """Write the headers of empty members."""
    path = parent / "photographs.tar"
    with path.open("wb") as file:
        for number in range(count):
            name = f"{number // _IN_A_FOLDER:04d}/photograph-{number:08d}.jpg"
            file.write(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
        file.write(bytes(2 * tarfile.BLOCKSIZE))
    return path
