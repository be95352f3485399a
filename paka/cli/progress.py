"""A run's progress: a bar in a terminal, plain lines elsewhere."""

import subprocess
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from paka.run_folder import RunFolder

_PAUSE_SECONDS = 0.2
_LINE_SECONDS = 5.0


def follow(run: RunFolder, process: subprocess.Popen[bytes]) -> None:
    """Show what the process writes to metrics.jsonl until it ends."""
    console = Console()
    if console.is_terminal:
        _bar(console, _rows(run, process))
    else:
        _lines(console, _rows(run, process))


def describe(row: dict[str, Any]) -> str:
    """Loss, throughput and time left of one metrics line."""
    left = time.strftime("%H:%M:%S", time.gmtime(row["eta_seconds"]))
    return f"loss {row['loss']:.4f}  {row['images_per_second']:.1f} images/s  {left} left"


def _rows(run: RunFolder, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """The latest metrics line, each time there is a new one."""
    latest = None
    while True:
        ended = process.poll() is not None
        rows = run.read_metrics()
        if rows and rows[-1] != latest:
            latest = rows[-1]
            yield latest
        if ended:
            return
        time.sleep(_PAUSE_SECONDS)


def _bar(console: Console, rows: Iterator[dict[str, Any]]) -> None:
    columns = (
        TextColumn("steps"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("starting", total=None)
        for row in rows:
            progress.update(
                bar, completed=row["step"], total=row["total_steps"], description=describe(row)
            )


def _lines(console: Console, rows: Iterator[dict[str, Any]]) -> None:
    shown_at = 0.0
    for row in rows:
        if time.monotonic() - shown_at > _LINE_SECONDS or row["step"] == row["total_steps"]:
            console.print(f"step {row['step']}/{row['total_steps']}  {describe(row)}")
            shown_at = time.monotonic()
