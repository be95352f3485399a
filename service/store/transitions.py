"""How a job's status changes: in one UPDATE that names the statuses it may leave, with one event
that names the cause, with the attempt's row that it closes, and with its nodes' rows, which go.
`attempts.claim` opens an attempt in the same way; everybody else who changes a status calls `move`.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from service.store.base import utc_now
from service.store.models import (
    Attempt,
    EventLevel,
    EventType,
    Job,
    JobEvent,
    JobNode,
)
from service.store.status import TRANSITIONS, Cause, JobStatus


class NewEvent(NamedTuple):
    """An event about to be recorded."""

    type: EventType
    message: str
    data: dict[str, Any] | None = None
    step: int | None = None
    level: EventLevel = "info"


def move(
    session: Session,
    job_id: str,
    cause: Cause,
    condition: ColumnElement[bool],
    *,
    error: dict[str, Any] | None = None,
    reason: str | None = None,
    lost_attempts: int | None = None,
) -> bool:
    """Give up the lease, if any, for another status; False if `condition` does not hold."""
    now = utc_now()
    sources, target = TRANSITIONS[cause]
    values = _without_worker(target, now) | {"error": error}
    if lost_attempts is not None:
        values["lost_attempts"] = lost_attempts
    attempt = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.status.in_(list(sources)), condition)
        .values(values)
        .returning(Job.attempt)
    )
    if attempt is None:
        return False
    session.execute(
        update(Attempt)
        .where(Attempt.job_id == job_id, Attempt.ended_at.is_(None))
        .values(ended_at=now, ending=cause)
    )
    session.execute(delete_rows(JobNode).where(JobNode.job_id == job_id))
    about = {"cause": cause, "reason": reason, "error": error}
    data = {key: value for key, value in about.items() if value}
    level: EventLevel = "error" if target == JobStatus.FAILED else "info"
    add_events(session, job_id, attempt, [NewEvent("status", target, data, level=level)])
    return True


def _without_worker(target: JobStatus, now: datetime) -> dict[str, Any]:
    """The row of a job that no worker has, be it that it waits or that it has ended."""
    values: dict[str, Any] = {
        "status": target,
        "lease_owner": None,
        "lease_expires_at": None,
        "worker": None,
        "slot_ids": None,
        "enqueued_at": None,
        "cancel_requested": False,
        "preempt_requested": False,
    }
    if target == JobStatus.QUEUED:
        return values | {"queued_at": now, "finished_at": None, "files_bytes": None}
    return values | {"finished_at": now}


def locked(session: Session, job_id: str) -> Job:
    """The job as it is now, held against other writers until the transaction ends."""
    return session.get_one(Job, job_id, populate_existing=True, with_for_update=True)


def add_events(session: Session, job_id: str, attempt: int, events: Iterable[NewEvent]) -> None:
    """Record events of a job, in their order; hold its row, or they mix with another writer's."""
    session.add_all(JobEvent(job_id=job_id, attempt=attempt, **event._asdict()) for event in events)
    session.flush()
