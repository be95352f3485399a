"""Progress of what takes a while: a bar in a terminal or a notebook, nothing in a log file."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Any

from service.client.schemas import Event, Job

if TYPE_CHECKING:
    from paka.cli.progress import Display

MEGABYTE = 10**6
_NOTES = {"queued": "queued", "running": "starting"}


class Tracker:
    """What is told of the progress; shows it if there is where."""

    def __init__(self, display: "Display | None" = None) -> None:
        self._display = display
        self._done = self._total = 0

    def update(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` are done; 0: nobody knows how many there are."""
        self._done, self._total = done, max(done, total)
        if self._display:
            self._display.update(self._done, self._total, note)

    def megabytes(self, done: int, total: int) -> None:
        """So many bytes of a file are there."""
        self.update(-(-done // MEGABYTE), -(-total // MEGABYTE), "MB")

    def job(self, job: Job) -> None:
        """A job as it is now."""
        if job.progress:
            self._metrics(job.progress)

    def event(self, event: Event) -> None:
        """Something that happened to a job."""
        if event.type == "metrics" and event.data:
            self._metrics(event.data)
        elif event.type == "status" and event.message in _NOTES:
            self.update(self._done, self._total, _NOTES[event.message])
        elif event.level != "info" and self._display:
            self._display.say(f"{event.level}: {event.message}")

    def _metrics(self, row: Mapping[str, Any]) -> None:
        self.update(row.get("step", 0), row.get("total_steps", 0), describe(row))


def describe(row: Mapping[str, Any]) -> str:
    """A job's latest metrics in a few words."""
    words = [str(row[name]) for name in ("encoder", "part") if name in row]
    if "loss" in row:
        words.append(f"loss {row['loss']:.4f}")
    if "images_per_second" in row:
        words.append(f"{row['images_per_second']:.1f} images/s")
    if "eta_seconds" in row:
        words.append(f"{timedelta(seconds=round(row['eta_seconds']))} left")
    return "  ".join(words)


@contextmanager
def tracking(progress: bool | None, what: str) -> Iterator[Tracker]:
    """Show progress for as long as the block lasts.

    Args:
        progress: None: in a notebook or a terminal only; True: anywhere, False: nowhere.
        what: stands before the bar.
    """
    if progress is False:
        yield Tracker()
    elif in_notebook():
        yield Tracker(_Notebook(what))
    elif progress or sys.stderr.isatty():
        from paka.cli.progress import display

        with display(what) as view:
            yield Tracker(view)
    else:
        yield Tracker()


def in_notebook() -> bool:
    """Whether this is a kernel of Jupyter's, whose output is a page."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ == "ZMQInteractiveShell"


class _Notebook:
    """One output of a cell, which is drawn again; rich's own bar takes ipywidgets."""

    def __init__(self, what: str) -> None:
        import IPython.display

        page: Any = IPython.display
        self._what, self._html = what, page.HTML
        self._handle = page.display(page.HTML(escape(what)), display_id=True)

    def update(self, done: int, total: int, note: str = "") -> None:
        bar = f'<progress value="{done}" max="{max(total, 1)}"></progress>'
        text = f"{escape(self._what)} {bar} {done}/{total} &nbsp; {escape(note)}"
        self._handle.update(self._html(text))

    def say(self, message: str) -> None:
        print(message, file=sys.stderr)
