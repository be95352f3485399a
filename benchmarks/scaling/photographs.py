"""Photographs of more and more pixels: reading one, and cutting its views, in a loading process."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from benchmarks.measure import Spread
from benchmarks.memory import forget_peak, resident_mib
from benchmarks.scaling.growth import Growth, processor_ms
from paka.data.folder import list_images
from paka.data.images import open_images
from paka.presets import resolve
from paka.views.pipeline import ViewsDataset

SIZES = (
    *((320, 240), (640, 480), (1280, 960), (2560, 1920)),
    *((4000, 3000), (5600, 4200), (8000, 6000)),
)


def growths(images: Path, repeats: int) -> Iterator[Growth]:
    """Measure one photograph, scaled up, as JPEG."""
    rows = []
    with (
        Image.open(list_images(images)[0]) as image,
        tempfile.TemporaryDirectory(prefix="paka-scaling-") as name,
    ):
        for size in SIZES:
            folder = Path(name, f"{size[0]}")
            folder.mkdir()
            image.convert("RGB").resize(size).save(folder / "photograph.jpg", quality=90)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
                costs = fresh.submit(_costs, folder, repeats).result()
            rows.append((size[0] * size[1], costs))
    about = ("views of one, processor ms", "peak above rest, MiB")
    yield Growth("Size of photographs: the views of preset light", "pixels", about, rows)


def _costs(folder: Path, repeats: int) -> tuple[Spread | float, ...]:
    config = resolve({"dataset": str(folder), "encoder": "test_vit@random"}, "light")
    views = ViewsDataset(open_images(folder), config)
    positions = iter(range(repeats + 1))
    forget_peak()
    before = resident_mib("VmRSS")
    spread = processor_ms(lambda: views[next(positions)], repeats)
    return spread, resident_mib("VmHWM") - before
