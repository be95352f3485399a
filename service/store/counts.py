"""How much there is of everything, for metrics: small answers, whatever the tables hold."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, distinct, func, select
from sqlalchemy.orm import Session

from service.store.base import utc_now
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


def running(session: Session) -> list[Progress]:
    """What the running jobs said last."""
    rows = session.execute(
        select(Job.kind, Job.slot_ids, Job.progress).where(Job.status == JobStatus.RUNNING)
    )
    return [Progress(*row) for row in rows]


class AttemptCounts:
    """Counts attempts, and remembers: of those that ended long ago, none is looked at twice.

    Attempts outlive their jobs, so that no number falls but that of attempts which have not ended.
    """

    def __init__(self) -> None:
        self._settled: Counter[tuple[JobKind, Cause | None]] = Counter()
        self._settled_below = 0

    def read(self, session: Session) -> Counter[tuple[JobKind, Cause | None]]:
        """How many there were of each kind of job, by how they ended; None: not yet."""
        bound = _first_unsettled(session)
        if bound > self._settled_below:
            old = (Attempt.id >= self._settled_below) & (Attempt.id < bound)
            self._settled += _attempts(session, old)
            self._settled_below = bound
        return self._settled + _attempts(session, Attempt.id >= self._settled_below)


def _first_unsettled(session: Session) -> int:
    """The id below which no attempt changes any more, nor appears, by a commit that is late."""
    since = utc_now() - timedelta(hours=1)
    # Each by its own index: not as one condition, nor by walking through the ids, as a database
    # would for the least of them.
    moving = (Attempt.ended_at.is_(None), Attempt.started_at > since)
    firsts = [session.scalar(select(func.min(Attempt.id + 0)).where(one)) for one in moving]
    last = session.scalar(select(func.max(Attempt.id))) or 0
    return min([first for first in firsts if first is not None], default=last + 1)


def _attempts(
    session: Session, condition: ColumnElement[bool]
) -> Counter[tuple[JobKind, Cause | None]]:
    rows = session.execute(
        select(Attempt.kind, Attempt.ending, func.count())
        .where(condition)
        .group_by(Attempt.kind, Attempt.ending)
    )
    return Counter({(kind, ending): count for kind, ending, count in rows})
