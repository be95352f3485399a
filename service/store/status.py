"""The life of a job, pure: every change of its status, by what causes it.

The database holds the same rules in a trigger (see the migrations), so that no program can break
them.
"""

from enum import StrEnum
from typing import Literal, NamedTuple


class JobStatus(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Cause(StrEnum):
    """Why a job changes its status; each event of such a change names it."""

    CLAIMED = "claimed"  # a worker took it
    FINISHED = "finished"  # all is done
    FAILED = "failed"  # its process said why it cannot go on
    EXHAUSTED = "exhausted"  # its worker or process died once too often
    CANCELLED = "cancelled"  # its user wanted it
    STOPPED = "stopped"  # its worker is leaving; it goes on from its last checkpoint
    PREEMPTED = "preempted"  # a more important job needs its place; it goes on later
    LOST = "lost"  # its worker or process died; it goes on from its last checkpoint
    RESUMED = "resumed"  # a user wants it to go on


class Transition(NamedTuple):
    """Where a cause leads, and from where it may."""

    sources: frozenset[JobStatus]
    target: JobStatus


TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})

_QUEUED = frozenset({JobStatus.QUEUED})
_RUNNING = frozenset({JobStatus.RUNNING})
_ENDED_EARLY = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})

TRANSITIONS: dict[Cause, Transition] = {
    Cause.CLAIMED: Transition(_QUEUED, JobStatus.RUNNING),
    Cause.FINISHED: Transition(_RUNNING, JobStatus.SUCCEEDED),
    Cause.FAILED: Transition(_RUNNING, JobStatus.FAILED),
    Cause.EXHAUSTED: Transition(_RUNNING, JobStatus.FAILED),
    Cause.CANCELLED: Transition(_QUEUED | _RUNNING, JobStatus.CANCELLED),
    Cause.STOPPED: Transition(_RUNNING, JobStatus.QUEUED),
    Cause.PREEMPTED: Transition(_RUNNING, JobStatus.QUEUED),
    Cause.LOST: Transition(_RUNNING, JobStatus.QUEUED),
    Cause.RESUMED: Transition(_ENDED_EARLY, JobStatus.QUEUED),
}


_WHICH = {
    "cancelled": "queued and running jobs",
    "resumed": "failed and cancelled jobs",
    "deleted": "jobs that have ended",
}
"""Jobs to which it may be done."""


class IllegalTransition(Exception):
    """A job cannot be cancelled, resumed or deleted in its status."""

    def __init__(
        self, job_id: str, current: JobStatus, wanted: Literal["cancelled", "resumed", "deleted"]
    ) -> None:
        super().__init__(f"job {job_id} is {current}; only {_WHICH[wanted]} can be {wanted}")


def allowed() -> frozenset[tuple[JobStatus, JobStatus]]:
    """Return every pair of a status and one that may follow it."""
    return frozenset(
        (source, after.target) for after in TRANSITIONS.values() for source in after.sources
    )
