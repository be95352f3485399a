"""How much there is of everything, for metrics: small answers, whatever the tables hold."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from service.store.models import Attempt, Job, JobKind
from service.store.status import Cause, JobStatus


class Waiting(NamedTuple):
    """The jobs of one priority that wait: how many, and since when the first."""

    priority: int
    jobs: int
    oldest: datetime


class Progress(NamedTuple):
    """A running job: the slots that it holds, and the last line of its metrics."""

    kind: JobKind
    slot_ids: list[str] | None
    progress: dict[str, Any] | None


def jobs_by_status(session: Session) -> dict[tuple[JobKind, JobStatus], int]:
    """How many jobs there are of each kind in each status; none that there are none of."""
    # The index of kind and status holds all that this needs.
    rows = session.execute(
        select(Job.kind, Job.status, func.count()).group_by(Job.kind, Job.status)
    )
    return {(kind, status): count for kind, status, count in rows}


def waiting_by_priority(session: Session) -> list[Waiting]:
    """The queue in short."""
    rows = session.execute(
        select(Job.priority, func.count(), func.min(Job.queued_at))
        .where(Job.status == JobStatus.QUEUED)
        .group_by(Job.priority)
    )
    return [Waiting(*row) for row in rows]


def users_waiting(session: Session) -> int:
    """How many users have jobs in the queue."""
    query = select(func.count(distinct(Job.user_id))).where(Job.status == JobStatus.QUEUED)
    return session.scalar(query) or 0


def attempts(session: Session) -> dict[tuple[JobKind, Cause | None], int]:
    """How many attempts there were of each kind of job, by how they ended; None: not yet.

    Attempts outlive their jobs, so that none of these numbers but that of None ever falls.
    """
    rows = session.execute(
        select(Attempt.kind, Attempt.ending, func.count()).group_by(Attempt.kind, Attempt.ending)
    )
    return {(kind, ending): count for kind, ending, count in rows}


def running(session: Session) -> list[Progress]:
    """What the running jobs said last."""
    rows = session.execute(
        select(Job.kind, Job.slot_ids, Job.progress).where(Job.status == JobStatus.RUNNING)
    )
    return [Progress(*row) for row in rows]
