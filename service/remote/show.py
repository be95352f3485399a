"""Answers for people, as tables, and for programs, as JSON."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from service.client.schemas import Answer, Job

_STYLES = {
    "succeeded": "green",
    "running": "cyan",
    "failed": "red",
    "stopping": "yellow",
    "cancelled": "yellow",
    "queued": "dim",
}
_PIPED_WIDTH = 200
# What may take several lines where there is little room.
_FOLDED = ("name", "architecture", "path", "device", "waits for")


def print_json(answer: "Answer | Iterable[Answer] | Mapping[str, Any]") -> None:
    """One answer, or several as a list, as the service gave them."""
    typer.echo(json.dumps(_plain(answer), indent=2))


def print_json_line(value: "Answer | Mapping[str, Any]") -> None:
    """One of a stream of answers."""
    typer.echo(json.dumps(_plain(value)))


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under columns; a column whose name ends in `#` holds numbers."""
    from rich import box
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.endswith("#") else "left"
        folded = column in _FOLDED
        made.add_column(column.rstrip("#"), justify=justify, no_wrap=not folded, overflow="fold")
    for row in rows:
        made.add_row(*map(_cell, row))
    _print(made)


def facts(pairs: Mapping[str, Any]) -> None:
    """Print names and values, those that are None left out."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None:
            made.add_row(name, _cell(value))
    _print(made)


def status(job: "Job") -> str:
    """A job's status; a running one that was cancelled is stopping."""
    return "stopping" if job.cancel_requested and job.status == "running" else job.status


def age(time: datetime | None) -> str:
    """How long ago something was, roughly."""
    if time is None:
        return ""
    seconds = (datetime.now(UTC) - time).total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(int(seconds), 0)} s"


def duration(seconds: float | None) -> str:
    """Seconds as h:mm:ss."""
    return "" if seconds is None else str(timedelta(seconds=round(seconds)))


def size(number: int | None) -> str:
    """Bytes in a unit that fits."""
    if number is None:
        return ""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"


def local(time: datetime | None) -> str | None:
    """A time as this machine's clock shows it."""
    return None if time is None else f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return [_plain(one) for one in value]


def _cell(value: Any) -> Any:
    from rich.text import Text

    text = "" if value is None else str(value)
    return Text(text, style=_STYLES.get(text, ""))


def _print(made: "Table") -> None:
    console().print(made)


def console() -> "Console":
    """Of standard output; as wide as it takes where that is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(highlight=False, width=width)
