"""Progress on the terminal as a bar, and as plain lines where there is none."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from paka.process import StopFlag

_POLL_SECONDS = 0.2
_LINE_SECONDS = 5.0


class Display(Protocol):
    """Shows how far the work is."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` are done; a total of 0: nobody knows yet."""

    def say(self, message: str) -> None:
        """Show a message beside the progress."""


@contextmanager
def display(what: str) -> Iterator[Display]:
    """A bar for as long as the block lasts, or plain lines if the output is no terminal."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        lines = _Lines(console, what)
        yield lines
        lines.flush()
        return
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress)


def follow(
    process: subprocess.Popen[bytes],
    metrics: Sequence[Path],
    stop: StopFlag,
    what: str = "training",
    stopping: str = "stopping: a checkpoint is being written",
) -> None:
    """Show a run's progress until its process has ended; a wish to stop is passed on, once.

    Args:
        metrics: files of JSON lines; the last that is there says how far the run is.
        what: stands before the progress.
        stopping: said when a stop is asked for.
    """
    shown, asked = latest_row(metrics), False
    with display(what) as view:
        ended = False
        while not ended:
            ended = process.poll() is not None
            if stop and not asked:
                asked = True
                process.terminate()
                view.say(stopping)
            row = latest_row(metrics)
            if row and row != shown:
                shown = row
                view.update(row["step"], row["total_steps"], _note(row))
            if not ended:
                time.sleep(_POLL_SECONDS)


def latest_row(metrics: Sequence[Path]) -> dict[str, Any] | None:
    """The last line of the last file that has one."""
    rows = (last_row(path) for path in reversed(metrics))
    return next((row for row in rows if row), None)


def last_row(path: Path) -> dict[str, Any] | None:
    """The last complete line of a file of JSON lines, without reading the rest."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(file.seek(0, 2) - 8192, 0))
        lines = file.read().split(b"\n")[:-1]
    return dict(json.loads(lines[-1])) if lines else None


def time_left(seconds: float) -> str:
    """Seconds as `h:mm:ss left`."""
    return f"{timedelta(seconds=round(seconds))} left"


def _note(row: dict[str, Any]) -> str:
    if "part" in row:
        left = f"  {time_left(row['eta_seconds'])}" if "eta_seconds" in row else ""
        return f"{row['encoder']}: {row['part']}{left}"
    if "loss" not in row:  # before the first step there are only probes
        return "starting"
    speed, left = row["images_per_second"], time_left(row["eta_seconds"])
    return f"loss {row['loss']:.4f}  {speed:.1f} images/s  {left}"


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, note="starting")

    def update(self, done: int, total: int, note: str = "") -> None:
        self._progress.update(self._task, completed=done, total=total or None, note=note)

    def say(self, message: str) -> None:
        self._progress.console.print(message)


class _Lines:
    """A line at most every few seconds; the last one in any case."""

    def __init__(self, console: Console, what: str) -> None:
        self._console, self._what = console, what
        self._waiting = ""
        self._printed_at = float("-inf")

    def update(self, done: int, total: int, note: str = "") -> None:
        count = f"{done}/{total}  " if total else ""
        self._waiting = f"{self._what} {count}{note}".rstrip()
        if time.monotonic() - self._printed_at > _LINE_SECONDS:
            self.flush()

    def say(self, message: str) -> None:
        self._console.print(message)

    def flush(self) -> None:
        if self._waiting:
            self._console.print(self._waiting)
        self._waiting, self._printed_at = "", time.monotonic()
