"""Which leases have run out, judged without comparing the clocks of different machines."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from service.store.models import Job


class _Sight(NamedTuple):
    lease: tuple[int, datetime | None]
    since: float


class Leases:
    """Remembers since when each running job's lease has been as it is.

    A worker shows that it lives by renewing its lease, whatever time it writes there: clocks differ
    between machines, and are set. So a lease has run out when this process has seen it unchanged
    for as long as it lasts, by a clock that only goes forward.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._seen: dict[str, _Sight] = {}

    def run_out(self, running: Iterable[Job]) -> list[Job]:
        """Look at all running jobs as they are now; return those whose worker is dead or stuck."""
        now, before = self._clock(), self._seen
        self._seen, found = {}, []
        for job in running:
            lease = (job.attempt, job.lease_expires_at)
            sight = before.get(job.id)
            if sight is None or sight.lease != lease:
                sight = _Sight(lease, now)
            self._seen[job.id] = sight
            if now - sight.since > self._seconds:
                found.append(job)
        return found
