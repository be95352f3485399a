"""Start, measure, print: see the package's own text."""

import argparse
import itertools
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.embed import __doc__ as ABOUT
from benchmarks.embed.bare import Bare, read_pixels
from benchmarks.embed.folder import bulk
from benchmarks.embed.http import Turn, latency, throughput
from benchmarks.load.server import running
from benchmarks.measure import Spread, parser, show
from paka.data.folder import list_images

IMAGES = 64
ENCODERS = {
    "ViT-S/14": "vit_small_patch14_reg4_dinov2.lvd142m",
    "starter": "vit_starter_patch16_224",
}


def main() -> None:
    """Measure every part, and print."""
    options = parser(ABOUT or "", repeats=5)
    options.prog = "python -m benchmarks.embed"
    options.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of JPEG files")
    options.add_argument("--seconds", type=float, default=8.0, help="of each turn over HTTP")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped
    figures = measure(given)
    show(tables(figures), figures, given)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """All figures, by part and encoder."""
    paths = list(itertools.islice(list_images(given.photos), IMAGES))
    images, pixels = [path.read_bytes() for path in paths], read_pixels(paths)
    figures: dict[str, Any] = {"throughput": {}, "latency": {}, "bulk": {}}
    with (
        tempfile.TemporaryDirectory(prefix="paka-embed-") as home,
        running(Path(home), given.photos) as server,
    ):
        for short, name in ENCODERS.items():
            bare, encoder = Bare(name, pixels), f"{name}@random"
            figures["throughput"][short] = throughput(
                server, bare, images, encoder, given.seconds, given.repeats
            )
            figures["latency"][short] = latency(server, bare, images, encoder, 4 * given.repeats)
    for short, name in ENCODERS.items():
        figures["bulk"][short] = bulk(Bare(name, pixels), paths, given.repeats)
    return figures


def tables(figures: dict[str, Any]) -> list[Table]:
    """The figures as tables."""
    rates = Table("32 clients", "images/s", "bare model", "ratio", "images in a pass")
    costs = Table("CPU ms for each image", "API", "decoders", "worker", "Redis", "clients")
    for short, turns in figures["throughput"].items():
        rates.add_row(short, *_rates(turns))
        parts = [Spread.of([turn.cpu[part] for turn in turns]) for part in turns[0].cpu]
        costs.add_row(short, *map(str, parts))
    times = Table("one image alone, ms", "service", "bare model", "more")
    for short, seconds in figures["latency"].items():
        service, bare = ([s * 1000 for s in seconds[name]] for name in ("service", "bare"))
        more = Spread.of(service).median - Spread.of(bare).median
        times.add_row(short, str(Spread.of(service)), str(Spread.of(bare)), f"{more:.1f}")
    folder = Table("a folder", "images/s", "bare model", "ratio")
    for short, seconds in figures["bulk"].items():
        both = [[IMAGES / s for s in seconds[name]] for name in ("service", "bare")]
        ratios = [mine / bare for mine, bare in zip(*both, strict=True)]
        folder.add_row(short, *(str(Spread.of(values)) for values in (*both, ratios)))
    return [rates, costs, times, folder]


def _rates(turns: list[Turn]) -> list[str]:
    columns = (
        [turn.service for turn in turns],
        [turn.bare for turn in turns],
        [turn.service / turn.bare for turn in turns],
        [turn.batch for turn in turns],
    )
    return [str(Spread.of(column)) for column in columns]


if __name__ == "__main__":
    main()
