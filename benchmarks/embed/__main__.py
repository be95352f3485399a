"""Start, measure, print: see the package's own text."""

import argparse
import itertools
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.embed import __doc__ as ABOUT
from benchmarks.embed.bare import Bare, read_pixels
from benchmarks.embed.folder import bulk
from benchmarks.embed.http import PARTS, Turn, kept, latency, throughput
from benchmarks.load.server import Server, running
from benchmarks.measure import Spread, parser, show
from paka.data.folder import list_images

IMAGES = 64
ENCODERS = {
    "ViT-S/14": "vit_small_patch14_reg4_dinov2.lvd142m",
    "starter": "vit_starter_patch16_224",
}
BULK_IMAGES = {"ViT-S/14": 64, "starter": 320}
"""Some seconds' work: that the loading processes start is to weigh no more than in a long job."""


LATENCIES = 20
"""Single images for each repeat: each takes little time, and the next one's differs by as much as
the service adds.
"""


def main() -> None:
    """Measure every part, and print."""
    options = parser(ABOUT or "", repeats=3)
    options.prog = "python -m benchmarks.embed"
    options.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of JPEG files")
    options.add_argument("--seconds", type=float, default=7.0, help="of each turn over HTTP")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped
    figures = measure(given)
    show(tables(figures), figures, given)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """All figures, by part and encoder."""
    paths = list(itertools.islice(list_images(given.photos), IMAGES))
    images, pixels = [path.read_bytes() for path in paths], read_pixels(paths)
    bares = {short: Bare(name, pixels) for short, name in ENCODERS.items()}
    figures: dict[str, Any] = {"throughput": {}, "kept": {}, "latency": {}, "bulk": {}}
    turns = (images, given.seconds, given.repeats)
    with _server(given.photos) as server:
        for short, bare in bares.items():
            figures["throughput"][short] = throughput(server, bare, *turns)
            figures["latency"][short] = latency(server, bare, images, LATENCIES * given.repeats)
    with _server(given.photos, PAKA_EMBED_CACHE_BYTES=str(2**30)) as server:
        for short, bare in bares.items():
            figures["kept"][short] = kept(server, bare, *turns)
    for short, bare in bares.items():
        figures["bulk"][short] = bulk(bare, paths, BULK_IMAGES[short], given.repeats)
    return figures


@contextmanager
def _server(photos: Path, **settings: str) -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory(prefix="paka-embed-") as home,
        running(Path(home), photos, **settings) as server,
    ):
        yield server


def tables(figures: dict[str, Any]) -> list[Table]:
    """The figures as tables."""
    rates = Table("32 clients", "images/s", "bare model", "ratio", "images in a pass")
    costs = Table("CPU ms for each image", *PARTS)
    for short, compared in figures["throughput"].items():
        service, bare = [one.service.rate for one in compared], [one.bare for one in compared]
        rates.add_row(short, *_ratio(service, bare), str(Spread.of([x.batch for x in compared])))
        costs.add_row(short, *_costs([one.service for one in compared]))
    for short, turns in figures["kept"].items():
        rates.add_row(f"{short}, kept", str(Spread.of([turn.rate for turn in turns])))
        costs.add_row(f"{short}, kept", *_costs(turns))
    times = Table("one image alone, ms", "service", "bare model", "more")
    for short, seconds in figures["latency"].items():
        alone, plain = ([s * 1000 for s in seconds[name]] for name in ("service", "bare"))
        more = [mine - other for mine, other in zip(alone, plain, strict=True)]
        times.add_row(short, *(str(Spread.of(values)) for values in (alone, plain, more)))
    folder = Table("a folder", "images/s", "bare model", "ratio")
    for short, found in figures["bulk"].items():
        folder.add_row(short, *_ratio(found["service"], found["bare"]))
    return [rates, costs, times, folder]


def _ratio(service: Sequence[float], bare: Sequence[float]) -> list[str]:
    """Both, and the one divided by the other turn by turn."""
    ratios = [mine / other for mine, other in zip(service, bare, strict=True)]
    return [str(Spread.of(values)) for values in (service, bare, ratios)]


def _costs(turns: Sequence[Turn]) -> list[str]:
    return [str(Spread.of([turn.cpu[part] for turn in turns])) for part in PARTS]


if __name__ == "__main__":
    main()
