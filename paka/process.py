"""Being a well-behaved process: begin and leave at once, also when the parent has died or hangs."""

import atexit
import ctypes
import gc
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SILENCE_VARIABLE = "PAKA_SILENCE_SECONDS"

WAIT_ASLEEP = {"GOMP_SPINCOUNT": "1000"}
"""How often a core that has done its part of an operation asks for the others, some 50 µs, before
it sleeps. By default it does so for milliseconds: where more processes want the cores than there
are, for a whole time slice, in which those that it waits for cannot run.
"""

_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopFlag:
    """Set by SIGTERM or SIGINT: finish the step, write a checkpoint and leave."""

    def __init__(self) -> None:
        # No threading.Event: its lock is held while it is set, and a second signal, in the midst of
        # the first one's handler, would wait for that lock for ever.
        self._asked = False

    def install(self) -> "StopFlag":
        """Take over SIGTERM and SIGINT of this process; call it from the main thread."""
        for number in _SIGNALS:
            signal.signal(number, self._handle)
        return self

    @contextmanager
    def off(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT end this process at once; from the main thread.

        For when there is nothing to save, but waiting in torch, which lets no handler run.
        """
        before = {number: signal.signal(number, signal.SIG_DFL) for number in _SIGNALS}
        if self:  # asked before, when it was not yet known that there is nothing to save
            os.kill(os.getpid(), signal.SIGTERM)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def set(self) -> None:
        """Ask to stop, from within the process."""
        self._asked = True

    def __bool__(self) -> bool:
        return self._asked


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import much at once: what is imported is no garbage, and never looked through for any."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # what is never cleared away triton calls leaked
        if enabled:
            gc.enable()


def leave(code: int) -> NoReturn:
    """End this process as `sys.exit` does, but leave its memory to the kernel.

    The interpreter takes more than a second to clear away torch, object by object, for which a job
    would hold its GPU and a user would wait.
    """
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # who read it has seen enough
    except OSError as error:
        print(f"error: the end of what was printed is lost: {error.strerror}", file=sys.stderr)
        code = code or 1
    os._exit(code)


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Have the kernel send signal `number` to this process when its parent dies (Linux only)."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel was told
        os.kill(os.getpid(), number)


def die_in_silence() -> None:
    """End this process, writing nothing more, when standard input stays silent for too long.

    Who starts it says in the variable `PAKA_SILENCE_SECONDS` how long that is, and writes to its
    standard input more often than that; without the variable nothing happens. So a process ends
    whose supervisor hangs, and whose work may have been given to another.
    """
    seconds = float(os.environ.pop(SILENCE_VARIABLE, "inf"))
    if seconds < float("inf"):
        threading.Thread(target=_listen, args=(seconds,), name="listen", daemon=True).start()


def _listen(seconds: float) -> None:
    while select.select([sys.stdin], [], [], seconds)[0]:
        if not os.read(sys.stdin.fileno(), 4096):
            return  # the supervisor is gone, for which there is `die_with_parent`
    os.kill(os.getpid(), signal.SIGKILL)
