"""Which leases have run out, judged without comparing the clocks of different machines."""

import time
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


class _Sight(NamedTuple):
    lease: Hashable
    since: float


class Leases:
    """Remembers since when each lease has been as it is.

    A worker shows that it lives by renewing its lease, whatever time or number it writes there:
    clocks differ between machines, and are set. So a lease has run out when this process has seen
    it unchanged for as long as it lasts, by a clock that only goes forward.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._seen: dict[Hashable, _Sight] = {}

    def run_out(self, leases: Mapping[Key, Hashable]) -> list[Key]:
        """Look at all leases as they are now; return those whose worker is dead or stuck."""
        now, before = self._clock(), self._seen
        self._seen, found = {}, []
        for key, lease in leases.items():
            sight = before.get(key)
            if sight is None or sight.lease != lease:
                sight = _Sight(lease, now)
            self._seen[key] = sight
            if now - sight.since > self._seconds:
                found.append(key)
        return found
