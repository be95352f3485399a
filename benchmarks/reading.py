"""How fast images are read out of each kind of data set, and how long a large tar takes to open.

    python -m benchmarks.reading IMAGES [--images 500] [--members 100000] [--repeats 5]

The same images lie in a folder, a .tar, a .zip (stored) and an Arrow file, all in the page cache:
what is measured is the software, not a disk. The order is random, as in a training, in one process.
Rates by the processor's time of this process; the best of `--repeats`, which others disturb least.
"""

import argparse
import io
import itertools
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe
from paka.data.decode import decode
from paka.data.folder import list_images
from paka.data.images import open_images
from paka.data.source import ImageSource


def write_all(source: Path, count: int, folder: Path) -> dict[str, Path]:
    """Write the first `count` images of a folder as each kind of data set, over and over."""
    paths = list(itertools.islice(itertools.cycle(list_images(source)), count))
    files = {f"{number:05d}.jpg": path.read_bytes() for number, path in enumerate(paths)}
    places = {kind: folder / kind for kind in ("folder", "photos.tar", "photos.zip", "arrow")}
    places["folder"].mkdir()
    with tarfile.open(places["photos.tar"], "w") as tar:
        for name, content in files.items():
            (places["folder"] / name).write_bytes(content)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    with zipfile.ZipFile(places["photos.zip"], "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    rows = [{"bytes": content, "path": name} for name, content in files.items()]
    features = datasets.Features({"image": datasets.Image()})
    made = datasets.Dataset.from_dict({"image": rows}, features=features)
    made.save_to_disk(places["arrow"])
    return places


def write_members(path: Path, count: int) -> None:
    """Write a tar of tiny members."""
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            entry = tarfile.TarInfo(f"{number // 1000:04d}/{number:08d}.jpg")
            entry.size = 300
            tar.addfile(entry, io.BytesIO(bytes(300)))


def rate(images: ImageSource, repeats: int, use: Callable[[ImageSource, int], object]) -> float:
    """Images per second of processor time."""
    order = np.random.default_rng(0).permutation(len(images)).tolist()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        for index in order:
            use(images, index)
        seconds.append(time.process_time() - start)
    return len(order) / min(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", metavar="IMAGES", type=Path, help="folder of images")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    console, table = (
        Console(),
        Table("data set", "opened in ms", "read / s", "read and decoded / s"),
    )
    with tempfile.TemporaryDirectory() as name:
        for kind, path in write_all(given.source, given.images, Path(name)).items():
            open_images(path)  # what it imports is imported
            start = time.process_time()
            images = open_images(path)
            opened = (time.process_time() - start) * 1000
            read = rate(images, given.repeats, lambda source, index: source.read(index))
            decoded = rate(images, given.repeats, lambda source, index: decode(source.read(index)))
            table.add_row(kind, f"{opened:.1f}", f"{read:,.0f}", f"{decoded:,.0f}")
        console.print(table)
        write_members(large := Path(name) / "large.tar", given.members)
        start = time.process_time()
        count = len(open_images(large))
        console.print(f"a tar of {count:,} members opens in {time.process_time() - start:.2f} s")
    console.print(str(describe()))


if __name__ == "__main__":
    main()
