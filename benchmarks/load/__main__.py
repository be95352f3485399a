"""Fill, start, measure, print: see the package's own text."""

import argparse
import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.load import __doc__ as ABOUT
from benchmarks.load.parts import PARTS, Row
from benchmarks.load.seed import fill
from benchmarks.load.server import running
from benchmarks.machine import describe
from service.store.migrate import upgrade
from service.store.session import Database
from service.store.settings import Settings

HEADINGS = [
    *("", "clients", "answers/s", "p50, ms", "p95, ms", "p99, ms"),
    *("refused", "errors", "p95 of /health, ms", "API, CPU ms each", "API, MiB"),
]


def main() -> None:
    """Measure every part, print the table and, on request, write the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=ABOUT)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs in the database")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server is stopped
    machine = describe()
    print(f"{machine}\n{options.jobs} jobs; {options.seconds:g} s each\n")
    with tempfile.TemporaryDirectory(prefix="paka-load-") as folder:
        rows = measure_all(Path(folder), options.only, options.jobs, options.seconds)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    if options.json:
        figures = {
            "machine": machine._asdict(),
            "jobs": options.jobs,
            "seconds": options.seconds,
            "rows": [row._asdict() for row in rows],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure_all(home: Path, parts: Sequence[str], count: int, seconds: float) -> list[Row]:
    """Measure on a server in an empty folder, printing each row when it is there."""
    database = Database(Settings(home=home).database)
    upgrade(Settings(home=home).database)
    old_job = fill(database, count)
    database.close()
    rows: list[Row] = []
    print(line(HEADINGS), line(["---"] * len(HEADINGS)), sep="\n")
    with running(home, photos(home / "data"), old_job) as server:
        for part in parts:
            for row in PARTS[part](server, seconds):
                print(line(cells(row)), flush=True)
                rows.append(row)
    return rows


def photos(data: Path) -> Path:
    """A data root with a folder of images to train on."""
    (data / "photos").mkdir(parents=True)
    for number in range(32):
        noise = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noise).resize((320, 240)).save(buffer, "JPEG")
        (data / "photos" / f"{number}.jpg").write_bytes(buffer.getvalue())
    return data


def line(texts: Sequence[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(texts)} |"


def cells(row: Row) -> list[str]:
    """One row as texts."""
    times = [f"{time:.1f}" for time in (row.p50, row.p95, row.p99)]
    counts = [str(row.refused), str(row.errors), f"{row.health:.1f}"]
    counts += [f"{row.cpu:.1f}", f"{row.api_mib:.0f}"]
    return [row.part, str(row.clients), f"{row.per_second:.1f}", *times, *counts]


if __name__ == "__main__":
    main()
