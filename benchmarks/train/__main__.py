"""Our training against lightly-train's `dinov31` (DINOv2's objective and PaKA): speed and memory.

    make peer
    python -m benchmarks.train IMAGES [--repeats 2] [--json FILE]

Both train ViT-S/14 with registers from random weights, in float32 on the CPU, on the same images,
decoded by one loading process: two global crops per image, and `--local-crops` local ones for PaKA;
lightly-train cuts as many again for DINO. `PaKA alone` is lightly-train without DINOv2's losses and
what only they need. Each side trains `--repeats` times, in turn, each time in a fresh process; its
steps are measured after one to warm up.

A step is from update to update; processor time and memory are of the training process and its
loading process. Memory: the kernel's own count of the training process's highest resident size
(VmHWM, Linux), and of the loading process what it does not share.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks.measure import Spread, parser, show
from benchmarks.steps import Timed
from benchmarks.train.setting import Setting
from benchmarks.train.watch import Counted

ROOT = Path(__file__).resolve().parents[2]
PEER_PYTHON = ROOT / ".venv-peer/bin/python"
SIDES = {
    "ours": (sys.executable, "-m", "benchmarks.train.ours"),
    "lightly-train": (str(PEER_PYTHON), "-m", "benchmarks.train.peer", "all"),
    "its PaKA alone": (str(PEER_PYTHON), "-m", "benchmarks.train.peer", "paka"),
}


class Row(NamedTuple):
    """One side's figures."""

    side: str
    images_per_second: Spread
    processor_seconds: Spread
    """For each image."""
    process_mib: float
    loader_mib: float
    counted: Counted


def ask(side: str, what: str, setting: Setting) -> dict[str, Any]:
    """Have a side train in a fresh process, and return what was measured."""
    with tempfile.TemporaryDirectory(prefix="paka-train-") as folder:
        result = Path(folder, "result.json")
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LIGHTLY_TRAIN_CACHE_DIR": folder,
            "LIGHTLY_TRAIN_EVENTS_DISABLED": "1",  # it would tell its makers of each training
        }
        command = [*SIDES[side], what, json.dumps(setting._asdict()), str(result)]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{side} has failed:\n{done.stderr[-4000:]}")
        return dict(json.loads(result.read_text()))


def measure(setting: Setting, repeats: int) -> list[Row]:
    """Measure all sides, in turn."""
    counted = {side: Counted(**ask(side, "count", setting)) for side in SIDES}
    rounds: dict[str, list[Timed]] = {side: [] for side in SIDES}
    for _ in range(repeats):
        for side in SIDES:
            rounds[side].append(Timed(**ask(side, "time", setting)))
    return [_row(side, rounds[side], counted[side], setting.batch_size) for side in SIDES]


def _row(side: str, rounds: Sequence[Timed], counted: Counted, batch_size: int) -> Row:
    return Row(
        side,
        Spread.of([batch_size / one for each in rounds for one in each.seconds]),
        Spread.of([one / batch_size for each in rounds for one in each.processor]),
        max(each.process_mib for each in rounds),
        max(each.loaders_mib for each in rounds),
        counted,
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """Lay the rows out for reading: what it takes, and what is computed."""
    ours = rows[0]
    takes = Table("", "images/s", "of ours", "processor, s/image", "of ours")
    for heading in ("process, MiB", "of ours", "loader, MiB"):
        takes.add_column(heading)
    computes = Table("for each image", "teacher: crops", "patches", "student: crops", "patches")
    for heading in ("GFLOP", "of ours", "GFLOP per processor s"):
        computes.add_column(heading)
    for row in rows:
        counts = row.counted
        takes.add_row(
            row.side,
            str(row.images_per_second),
            f"{row.images_per_second.median / ours.images_per_second.median:.2f} x",
            str(row.processor_seconds),
            f"{row.processor_seconds.median / ours.processor_seconds.median:.2f} x",
            f"{row.process_mib:.0f}",
            f"{row.process_mib / ours.process_mib:.2f} x",
            f"{row.loader_mib:.0f}",
        )
        computes.add_row(
            row.side,
            *(f"{count:.0f}" for count in counts),
            f"{counts.gflop / ours.counted.gflop:.2f} x",
            f"{counts.gflop / row.processor_seconds.median:.1f}",
        )
    return [takes, computes]


def options() -> argparse.Namespace:
    """What the user has asked for."""
    made = parser(str(__doc__), repeats=2)
    defaults = Setting("")
    made.add_argument("images", metavar="IMAGES", type=Path, help="folder of images")
    for name in ("batch_size", "global_size", "local_size", "local_crops", "steps", "threads"):
        flag = f"--{name.replace('_', '-')}"
        made.add_argument(flag, type=int, default=getattr(defaults, name))
    given = made.parse_args()
    if not PEER_PYTHON.exists():
        made.error("lightly-train is not installed; run: make peer")
    return given


def main() -> None:
    """Measure, print the tables and, on request, write the figures."""
    given = options()
    values = {name: value for name, value in vars(given).items() if name in Setting._fields}
    setting = Setting(**{**values, "images": str(given.images.resolve())})
    rows = measure(setting, given.repeats)
    figures = [{**row._asdict(), "counted": row.counted._asdict()} for row in rows]
    show(tables(rows), {"setting": values | {"images": str(given.images)}, "rows": figures}, given)


if __name__ == "__main__":
    main()
