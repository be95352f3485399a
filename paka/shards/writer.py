"""Writing shards while the next one is made."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self


class Writer:
    """A thread that does one writing at a time, for as long as a `with` block lasts.

    What goes wrong in it is raised by the next call, or at the block's end.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._thread.shutdown()
        if kind is None:
            self._wait()

    def start(self, write: Callable[[], None]) -> None:
        """Have something written; returns as soon as what was started before is."""
        self._wait()
        self._last = self._thread.submit(write)

    def _wait(self) -> None:
        if self._last is not None:
            last, self._last = self._last, None
            last.result()
