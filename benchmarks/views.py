"""How fast images become views: one core, and more of them.

    python -m benchmarks.views IMAGES [--repeats 5] [--json FILE]

The photographs of a folder are written anew as JPEGs of each size (quality 90) and read from the
page cache: what is measured is the software, not a disk. The views are those of the preset `light`.

One core: images per second of processor time in this process, with one thread of torch; beside it,
in turn, decoding alone, and the same crops cut with Pillow from the whole image, as DINO's and most
other loaders do. Several cores: images per second that come out of the loader of a training with so
many loading processes, by the clock.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.table import Table

from benchmarks.measure import Spread, parser, show
from paka.config import TrainConfig
from paka.data.decode import decode
from paka.data.folder import list_images
from paka.data.images import open_images
from paka.data.source import ImageSource
from paka.distributed import Processes
from paka.loader import make_loader
from paka.presets import resolve
from paka.views.boxes import sample_crops
from paka.views.pipeline import ViewsDataset

SIZES = ((640, 480), (1920, 1080), (4000, 3000))
_IMAGES = 24
_BATCH = 16


def write_images(source: Path, size: tuple[int, int], folder: Path) -> Path:
    """Write photographs at a size of their own."""
    folder.mkdir()
    for number, path in enumerate(itertools.islice(itertools.cycle(list_images(source)), _IMAGES)):
        decode(path).resize(size).save(folder / f"{number:03d}.jpg", quality=90)
    return folder


def config_of(folder: Path, **runtime: object) -> TrainConfig:
    """The preset `light` over a folder."""
    over = {"encoder": {"weights": "random"}, "dataset": str(folder), "runtime": runtime}
    return resolve({**over, "optim": {"batch_size": _BATCH}}, "light")


def with_pillow(images: ImageSource, config: TrainConfig, index: int) -> list[np.ndarray]:
    """The same crops by Pillow alone."""
    image = decode(images.read(index))
    crops = sample_crops(np.random.default_rng((0, 0, index)), *image.size, config.views)
    sides = ((crops.global_boxes, config.views.global_size), (crops.local_boxes, config.local_size))
    return [
        np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box=tuple(box)))
        for boxes, side in sides
        for box in boxes.tolist()
    ]


def one_core(folder: Path, repeats: int) -> dict[str, Spread]:
    """Images per second of processor time, for each way, all in turn."""
    config, images = config_of(folder), open_images(folder)
    views = ViewsDataset(images, config)
    ways: dict[str, Callable[[int], object]] = {
        "views": views.__getitem__,
        "pillow": lambda index: with_pillow(images, config, index),
        "decoding": lambda index: decode(images.read(index)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-1, repeats):
        for name, way in ways.items():
            start = time.process_time()
            for index in range(_IMAGES):
                way(index)
            if turn >= 0:
                rates[name].append(_IMAGES / (time.process_time() - start))
    return {name: Spread.of(values) for name, values in rates.items()}


def cores(folder: Path, workers: int, repeats: int) -> Spread:
    """Images per second out of a training's loader, over stretches of some batches."""
    config = config_of(folder, workers=workers)
    loader = make_loader(config, open_images(folder), Processes(), torch.device("cpu"), 0)
    batches: Iterator[object] = iter(loader)
    for _ in range(6 * workers):  # what was loaded while the processes started
        next(batches)
    rates, stretch = [], 8 * workers
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(stretch):
            next(batches)
        rates.append(stretch * _BATCH / (time.perf_counter() - start))
    return Spread.of(rates)


def jpeg_kilobytes(folder: Path) -> float:
    """Mean size of a file."""
    return sum(path.stat().st_size for path in folder.iterdir()) / _IMAGES / 1000


def main() -> None:
    """Measure and print."""
    options = parser(str(__doc__), repeats=5)
    options.add_argument("source", metavar="IMAGES", type=Path, help="folder of photographs")
    given = options.parse_args()
    torch.set_num_threads(1)
    table = Table("JPEG", "kB", "views / s", "cut with Pillow / s", "faster", "decoding alone / s")
    scaling = Table("loading processes", "views / s", "of one process")
    singles, loaders = {}, {}
    with tempfile.TemporaryDirectory() as name:
        for size in SIZES:
            folder = write_images(given.source, size, Path(name) / f"{size[0]}")
            rates = singles[f"{size[0]} x {size[1]}"] = one_core(folder, given.repeats)
            faster = f"{rates['views'].median / rates['pillow'].median:.1f} x"
            row = (str(rates["views"]), str(rates["pillow"]), faster, str(rates["decoding"]))
            table.add_row(f"{size[0]} x {size[1]}", f"{jpeg_kilobytes(folder):.0f}", *row)
        for workers in range(1, len(os.sched_getaffinity(0)) + 1):
            rate = loaders[workers] = cores(Path(name) / "640", workers, given.repeats)
            scaling.add_row(str(workers), str(rate), f"{rate.median / loaders[1].median:.2f} x")
    show([table, scaling], {"one_core": singles, "loading_processes": loaders}, given)


if __name__ == "__main__":
    main()
