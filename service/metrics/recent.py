"""Keeping for a few seconds what is not to be asked for more often."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
KEEP_SECONDS = 5.0
"""Several collectors, or one that is impatient, cost the database no more than one."""


class Recent(Generic[T]):
    """The last value, made anew when it is too old; who asks meanwhile waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: T | None = None
        self._made_at = float("-inf")

    def get(self, make: Callable[[], T]) -> T:
        """Return it."""
        with self._lock:
            if self._value is None or time.monotonic() - self._made_at > KEEP_SECONDS:
                self._value = make()
                self._made_at = time.monotonic()
            return self._value
