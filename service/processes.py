"""Several child processes as one: one log, one clean stop, none left behind."""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import NamedTuple, Self

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_COLOURS = ("36", "35", "34", "33", "32")  # cyan, magenta, blue, yellow, green
_TICK_SECONDS = 0.1
_IMPATIENT_SECONDS = 1.0  # one Ctrl-C may arrive twice, passed on by a wrapper


class StopAskedError(Exception):
    """SIGINT, SIGTERM or SIGHUP arrived."""


class ChildDiedError(Exception):
    """A child ended that nobody had asked to; the message names it and its exit code."""


class Child(NamedTuple):
    """One running command; `stage` orders the stop, the highest first."""

    name: str
    stage: int
    process: subprocess.Popen[bytes]
    output: int  # file descriptor, the reading end of its pipe
    pending: bytearray  # output after the last line break


class ProcessGroup:
    """Starts children, prints their lines under their names, and stops them all when left.

    Children are in process groups of their own, so that Ctrl-C reaches only this process, which
    stops them in order. The kernel sends them SIGTERM if this process is killed (on Linux). It ties
    them to the thread that started them, and forking is only safe without threads: so all is done
    by one loop in the main thread.
    """

    def __init__(
        self,
        stop_seconds: float,
        inherited: Sequence[int] = (),
        render: Callable[[str, str], str] | None = None,
    ) -> None:
        """Children get `stop_seconds` to stop, and the file descriptors `inherited`.

        `render` makes what is printed of a child's name and its line; default: one before the
        other.
        """
        self._stop_seconds = stop_seconds
        self._inherited, self._render = tuple(inherited), render
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._asked_at: float | None = None
        self._impatient = False
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._selector.close()

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], stage: int = 0
    ) -> None:
        """Start a command; its output is printed as long as one of the other methods runs."""
        output, childs_end = os.pipe()
        try:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=childs_end,
                stderr=subprocess.STDOUT,
                # Its own output too: if this process is killed, the child can still write its last
                # lines. To Celery a broken pipe is a lost broker, for which it would wait for ever.
                pass_fds=(*self._inherited, output),
                process_group=0,
                preexec_fn=_end_with_parent(os.getpid()) if _LIBC else None,
            )
        except OSError:
            os.close(output)
            raise
        finally:
            os.close(childs_end)
        child = Child(name, stage, process, output, bytearray())
        self._children.append(child)
        self._selector.register(output, selectors.EVENT_READ, child)

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until `condition()` holds, asking often; return False if not within `seconds`.

        Raises:
            StopAskedError: a signal arrived.
            ChildDiedError: a child ended.
        """
        until = time.monotonic() + seconds
        while not condition():
            # Not at every line of output: asking may itself make a child write one.
            next_time = time.monotonic() + _TICK_SECONDS
            while time.monotonic() < next_time:
                self._tick()
            if time.monotonic() > until:
                return False
        return True

    def run(self) -> None:
        """Go on until `StopAskedError` or `ChildDiedError` is raised."""
        while True:
            self._tick()

    def say(self, line: str) -> None:
        """Print a line of our own among the children's."""
        self._print("up", line, "1")

    def _tick(self) -> None:
        self._forward(_TICK_SECONDS)
        if self._asked_at is not None:
            raise StopAskedError
        for child in self._children:
            status = child.process.poll()
            if status is not None:
                raise ChildDiedError(f"{child.name} ended unexpectedly, {_describe(status)}")

    def _stop(self) -> None:
        for stage in sorted({child.stage for child in self._children}, reverse=True):
            children = [child for child in self._children if child.stage == stage]
            running = [child for child in children if child.process.poll() is None]
            for child in running:
                child.process.terminate()
            self._await_end(running)
            for child in running:
                if child.process.poll() is None:
                    self.say(f"{child.name} is still running: killed")
                    os.killpg(child.process.pid, signal.SIGKILL)
                    child.process.wait()
        while self._selector.get_map() and self._selector.select(0):
            self._forward(0)
        for child in self._children:
            os.close(child.output)

    def _await_end(self, children: list[Child]) -> None:
        until = time.monotonic() + self._stop_seconds
        while any(child.process.poll() is None for child in children):
            if self._impatient or time.monotonic() > until:
                return
            self._forward(_TICK_SECONDS)

    def _forward(self, seconds: float) -> None:
        """Print what the children have written; wait for at most `seconds` if there is nothing."""
        for key, _ in self._selector.select(seconds):
            child: Child = key.data
            data = os.read(key.fd, 2**16)
            if not data:
                self._selector.unregister(key.fileobj)
                data = b"\n" if child.pending else b""
            *lines, rest = (bytes(child.pending) + data).split(b"\n")
            child.pending[:] = rest
            colour = _COLOURS[self._children.index(child) % len(_COLOURS)]
            for line in lines:
                self._print(child.name, line.decode(errors="replace"), colour)

    def _print(self, name: str, line: str, colour: str) -> None:
        prefix = f"{name:<5} |"
        if self._colour:
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        try:
            print(self._render(name, line) if self._render else f"{prefix} {line}", flush=True)
        except BrokenPipeError:  # the log's reader has gone: stop, in silence
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._asked_at = self._asked_at or time.monotonic()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > _IMPATIENT_SECONDS:
            self._impatient = True


def _end_with_parent(parent: int) -> Callable[[], None]:
    def tie() -> None:  # runs in the child, between fork and exec
        assert _LIBC is not None
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    return tie


def _describe(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit code {status}"
