"""Being a well-behaved process: leave when asked, and when the parent has died."""

import ctypes
import os
import signal
import sys
import threading
from types import FrameType

_PR_SET_PDEATHSIG = 1


class StopFlag:
    """Set by SIGTERM or SIGINT: finish the step, write a checkpoint and leave."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def install(self) -> "StopFlag":
        """Take over SIGTERM and SIGINT of this process; call it from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)
        return self

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._event.set()

    def set(self) -> None:
        """Ask to stop, from within the process."""
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Have the kernel send signal `number` to this process when its parent dies (Linux only)."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel was told
        os.kill(os.getpid(), number)
