"""Reading what users send in processes that may die: a bad file costs its own request alone."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, TypeVar

from paka.errors import DataError
from service.child_process import serve
from service.errors import ApiError

T = TypeVar("T")

# Not fork: the API has threads. A server process that has Pillow loaded forks off each new child
# in milliseconds, where a spawned one would take half a second after every death.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["service.child_process"])


class _Child(NamedTuple):
    process: BaseProcess
    pipe: Connection

    def kill(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


class ChildPool:
    """A pool of threads, each with a child process that does what the thread is given.

    Every child has its own pipe, so that a death is seen at once and can tear nobody else's
    message, as it could in a pool whose processes share one. Children start when needed.

    Args:
        processes: how many at most.
        memory_bytes: address space that each may take, beside what it starts with.
        seconds: longest time of one task.
        queue_limit: tasks that may wait before `check_capacity` refuses more.
    """

    def __init__(
        self, processes: int, memory_bytes: int, seconds: float, queue_limit: int = 1024
    ) -> None:
        self._limits, self._seconds = (memory_bytes, seconds), seconds
        self._queue_limit = queue_limit
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="child")
        self._own = threading.local()
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._waiting = 0
        self._closed = False

    def submit(self, name: str, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have a function called in a child.

        Args:
            name: what an error calls the file that the function reads.

        Returns:
            What the function returns. Its exception is a `DataError`: the function's own, or one
            that says that it took too long, or ended its process.
        """
        with self._lock:
            self._waiting += 1
        future = self._threads.submit(self._call, name, function, arguments)
        future.add_done_callback(self._done)
        return future

    def check_capacity(self) -> None:
        """Raise 429 if too much waits already."""
        limit = self._queue_limit
        if self._waiting >= limit:
            detail = f"{self._waiting} files wait to be read, {limit} at most; try again later"
            raise ApiError(429, "decoders_busy", detail, headers={"Retry-After": "1"})

    def close(self) -> None:
        """End all children; what still waits is cancelled."""
        with self._lock:
            self._closed = True
            for child in self._children:
                child.process.kill()
        self._threads.shutdown(cancel_futures=True)
        for child in list(self._children):
            self._drop(child)

    def _call(self, name: str, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        child = self._child()
        try:
            child.pipe.send((function, arguments))
            if not child.pipe.poll(self._seconds):
                self._drop(child)
                raise DataError(f"{name} took longer than {self._seconds:g} s to read")
            well, value = child.pipe.recv()
        except (EOFError, OSError):
            self._drop(child)
            how = _describe(child.process.exitcode)
            message = f"{name} cannot be read: the process that tried to {how}"
            raise DataError(message) from None
        if not well:
            raise value
        return value

    def _child(self) -> _Child:
        """This thread's child; a new one if it has none that lives."""
        child: _Child | None = getattr(self._own, "child", None)
        if child in self._children:
            if child.process.is_alive():
                return child
            self._drop(child)
        pipe, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=serve, args=(theirs, *self._limits), daemon=True)
        process.start()
        theirs.close()
        self._own.child = child = _Child(process, pipe)
        with self._lock:
            self._children.add(child)
            if self._closed:
                process.kill()
        return child

    def _drop(self, child: _Child) -> None:
        child.kill()
        with self._lock:
            self._children.discard(child)

    def _done(self, _future: Future[Any]) -> None:
        with self._lock:
            self._waiting -= 1


def start_server() -> None:
    """Start the process that forks off the children; it loads Pillow while others go on."""
    from multiprocessing.forkserver import ensure_running

    ensure_running()


def _describe(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
