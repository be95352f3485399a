"""What the worker that claimed a job of several nodes sees of the other nodes."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from service.store import nodes
from service.store.leases import Leases
from service.store.models import JobNode


class Others:
    """The other nodes of one attempt, as they were when last looked at.

    Args:
        lease_seconds: how long one may show no sign of life, or not come.
    """

    def __init__(self, job_id: str, lease_seconds: float) -> None:
        self.job_id, self.lease_seconds = job_id, lease_seconds
        self._leases = Leases(lease_seconds)
        self._parts: Sequence[JobNode] = ()
        self.died: list[str] = []
        """Of each that has died, or gives no sign of life: which, and what is known."""

    def look(self, session: Session) -> None:
        """Look at all of them, in a transaction in which the attempt still goes on."""
        self._parts = [part for part in nodes.parts_of(session, self.job_id) if part.rank]
        running = {part.rank: part for part in self._parts if part.ending is None}
        seen = {rank: (part.owner, part.beats) for rank, part in running.items()}
        self.died = [self._silence(running[rank]) for rank in self._leases.run_out(seen)]
        self.died += [_describe(part) for part in self._parts if part.ending == "died"]

    @property
    def failed(self) -> list[str]:
        """Of each that ended with an error: which, and the error."""
        return [_describe(part) for part in self._parts if part.ending == "failed"]

    @property
    def ended_early(self) -> bool:
        """Whether the attempt cannot go on, because one of them has failed, died or was stopped."""
        return bool(self.died) or any(part.ending in ("failed", "stopped") for part in self._parts)

    @property
    def told(self) -> bool:
        """Whether it is known of each how it ended, or of one that it died."""
        return bool(self.died) or all(part.ending for part in self._parts)

    def _silence(self, part: JobNode) -> str:
        what = "gave no sign of life" if part.owner else "did not come"
        return f"node {part.rank}: worker {part.worker} {what} for {self.lease_seconds:g} s"


def _describe(part: JobNode) -> str:
    return f"node {part.rank} on {part.worker}: {part.problem}"
