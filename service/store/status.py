"""The life of a job, pure: which status may follow which."""

from enum import StrEnum
from typing import Literal


class JobStatus(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})

# running -> queued: its worker died or was stopped; it goes on from its last checkpoint.
# failed | cancelled -> queued: a user resumed it.
TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
    JobStatus.RUNNING: TERMINAL | {JobStatus.QUEUED},
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset({JobStatus.QUEUED}),
    JobStatus.CANCELLED: frozenset({JobStatus.QUEUED}),
}


class IllegalTransition(Exception):
    """A job cannot go from its status to the one asked for, or cannot be deleted in it."""

    def __init__(
        self, job_id: str, current: JobStatus, wanted: JobStatus | Literal["deleted"]
    ) -> None:
        self.job_id, self.current, self.wanted = job_id, current, wanted
        super().__init__(f"job {job_id} is {current} and cannot become {wanted}")


def sources(wanted: JobStatus) -> frozenset[JobStatus]:
    """Return every status from which `wanted` may be reached."""
    return frozenset(status for status, after in TRANSITIONS.items() if wanted in after)
