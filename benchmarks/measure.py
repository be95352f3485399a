"""What the benchmarks share: times with their spread, taken in turn, and figures written as JSON.

Things that are compared are called in turn, in one process and one run, so that whatever else the
machine does meets all of them alike.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine, describe

_WIDE = 300
"""Columns of a table that is read by no terminal: no cell is broken into lines."""


class Spread(NamedTuple):
    """Quartiles of repeated measurements."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Quartiles of two values or more, none of them outside what was measured."""
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)} to {_short(self.high)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def in_turn(
    calls: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of each call, by name: all are called one after the other, `repeats` times."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-warm_up, repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def parser(about: str, repeats: int) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--repeats", type=_repeats, default=repeats, help="at least 2")
    made.add_argument("--json", type=Path, help="also write the figures to this file")
    return made


def _repeats(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"must be at least 2, got {text}")
    return int(text)


def show(tables: Sequence[Table], figures: Mapping[str, Any], options: argparse.Namespace) -> None:
    """Print the machine and the tables; write the figures where `--json` says.

    Into a file or a pipe the tables go as Markdown.
    """
    machine, console = describe(), Console()
    if not console.is_terminal:
        console.width = _WIDE
    console.print(str(machine), highlight=False)
    for table in tables:
        if not console.is_terminal:
            table.box = box.MARKDOWN
        console.print(table)
    if options.json:
        write(options.json, machine, {"repeats": options.repeats, **figures})


def write(path: Path, machine: Machine, figures: Mapping[str, Any]) -> None:
    """Write figures beside the machine that they were measured on."""
    path.write_text(json.dumps({"machine": machine._asdict(), **figures}, indent=2) + "\n")
