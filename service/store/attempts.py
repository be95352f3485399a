"""What a worker does with a job: claim it, renew its lease, note what it makes, end the attempt.

All functions take an open write session; the caller's transaction is short. A worker's writes are
fenced: they name the attempt and owner of its lease, and touch nothing once the lease is lost.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, literal, select, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from service.store.base import UtcDateTime, utc_now
from service.store.contract import CONTRACT_VERSION
from service.store.models import (
    Attempt,
    Checkpoint,
    Encoder,
    Job,
)
from service.store.status import TRANSITIONS, Cause, JobStatus
from service.store.transitions import NewEvent, add_events, move

_ENDINGS = {
    JobStatus.SUCCEEDED: Cause.FINISHED,
    JobStatus.FAILED: Cause.FAILED,
    JobStatus.CANCELLED: Cause.CANCELLED,
}


class Lease(NamedTuple):
    """A worker's right to write about a job: one claim of it."""

    job_id: str
    attempt: int
    owner: str

    @property
    def held(self) -> ColumnElement[bool]:
        """True in the database for as long as the lease is this worker's."""
        return (
            (Job.status == JobStatus.RUNNING)
            & (Job.attempt == self.attempt)
            & (Job.lease_owner == self.owner)
        )


class LeaseLost(Exception):
    """The job was given to another attempt, or ended, while this worker thought it had it."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(f"{lease.owner} no longer holds attempt {lease.attempt} of {lease.job_id}")


def claim(
    session: Session,
    job_id: str,
    owner: str,
    lease_seconds: float,
    worker: str | None = None,
    slot_ids: Sequence[str] = (),
) -> Lease | None:
    """Take a queued job; None if it is not there to be taken, or made for a newer worker.

    Args:
        owner: who may write about this attempt; no other has the same.
        worker: the name under which the worker announces itself.
        slot_ids: the slots that the job will hold.
    """
    now = utc_now()
    sources, target = TRANSITIONS[Cause.CLAIMED]
    job = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.status.in_(list(sources)))
        .where(Job.contract <= CONTRACT_VERSION)
        .values(
            status=target,
            attempt=Job.attempt + 1,
            lease_owner=owner,
            lease_expires_at=now + timedelta(seconds=lease_seconds),
            worker=worker,
            slot_ids=list(slot_ids) or None,
            enqueued_at=None,
            started_at=func.coalesce(Job.started_at, literal(now, UtcDateTime)),
        )
        .returning(Job)
    )
    if job is None:
        return None
    session.add(
        Attempt(
            job_id=job_id,
            attempt=job.attempt,
            user_id=job.user_id,
            kind=job.kind,
            owner=owner,
            slots=len(slot_ids) or job.slots,
            started_at=now,
        )
    )
    about = {"cause": Cause.CLAIMED, "attempt": job.attempt, "worker": owner}
    if slot_ids:
        about["slots"] = list(slot_ids)
    add_events(session, job_id, job.attempt, [NewEvent("status", target, about)])
    return Lease(job_id, job.attempt, owner)


def record(
    session: Session,
    lease: Lease,
    lease_seconds: float,
    events: Iterable[NewEvent] = (),
    progress: dict[str, Any] | None = None,
    skipped: dict[str, Any] | None = None,
) -> Cause | None:
    """Renew the lease, add events, progress and the list of skipped images, each if there is one.

    Returns why the job should leave, if it should.

    Raises:
        LeaseLost: the job is no longer this worker's; nothing was written.
    """
    values: dict[str, Any] = {"lease_expires_at": utc_now() + timedelta(seconds=lease_seconds)}
    if progress is not None:
        values["progress"] = progress
    if skipped is not None:
        values["skipped"] = skipped
    # The update comes first: its row lock puts the events of one job in the order of their ids.
    asked = session.execute(
        update(Job)
        .where(Job.id == lease.job_id, lease.held)
        .values(values)
        .returning(Job.cancel_requested, Job.preempt_requested)
    ).first()
    if asked is None:
        raise LeaseLost(lease)
    add_events(session, lease.job_id, lease.attempt, events)
    if asked.cancel_requested:
        return Cause.CANCELLED
    return Cause.PREEMPTED if asked.preempt_requested else None


def add_checkpoint(
    session: Session, lease: Lease, step: int, path: str, files: dict[str, Any], made: datetime
) -> None:
    """Note a complete checkpoint and its event; one that is already known is left as it is.

    Call `record` in the same transaction, so that a lost lease writes nothing.
    """
    known = select(Checkpoint.id).where(Checkpoint.job_id == lease.job_id, Checkpoint.step == step)
    if session.scalar(known) is not None:
        return
    size = sum(file["bytes"] for file in files.values())
    session.add(
        Checkpoint(
            job_id=lease.job_id, step=step, path=path, files=files, bytes=size, created_at=made
        )
    )
    event = NewEvent("checkpoint", f"checkpoint at step {step}", {"path": path}, step)
    add_events(session, lease.job_id, lease.attempt, [event])


def forget_checkpoints(session: Session, job_id: str, kept_steps: Iterable[int]) -> None:
    """Drop the rows of checkpoints that are no longer on disk."""
    session.execute(
        delete_rows(Checkpoint).where(
            Checkpoint.job_id == job_id, Checkpoint.step.not_in(list(kept_steps))
        )
    )


def add_encoder(session: Session, encoder: Encoder) -> None:
    """Add the encoder that a job made; a job that was resumed replaces its own."""
    session.execute(delete_rows(Encoder).where(Encoder.job_id == encoder.job_id))
    session.add(encoder)


def finish(
    session: Session, lease: Lease, status: JobStatus, error: dict[str, Any] | None = None
) -> None:
    """End the running job.

    Raises:
        LeaseLost: the job is no longer this worker's; nothing was written.
    """
    if not move(session, lease.job_id, _ENDINGS[status], lease.held, error=error):
        raise LeaseLost(lease)


def requeue(session: Session, lease: Lease, reason: str, cause: Cause = Cause.STOPPED) -> JobStatus:
    """Give the running job back, to go on from its last checkpoint: `STOPPED` or `PREEMPTED`.

    A job that should be cancelled is cancelled. Returns the new status.

    Raises:
        LeaseLost: the job is no longer this worker's; nothing was written.
    """
    cancelled = session.scalar(
        select(Job.cancel_requested).where(Job.id == lease.job_id, lease.held).with_for_update()
    )
    if cancelled is None:
        raise LeaseLost(lease)
    cause = Cause.CANCELLED if cancelled else cause
    move(session, lease.job_id, cause, lease.held, reason=reason)
    return TRANSITIONS[cause].target


def lose(session: Session, job: Job, reason: str, max_attempts: int) -> JobStatus | None:
    """End an attempt whose worker or process died: back to the queue, or failed at the limit.

    A job that should be cancelled is cancelled. Returns the new status; None if the job is no
    longer as it was read: its attempt was ended by somebody else, its lease was renewed after all,
    or its user asked to cancel. Then read it again.
    """
    lost = job.lost_attempts + 1
    cause, error = Cause.LOST, None
    if job.cancel_requested:
        cause = Cause.CANCELLED
    elif lost >= max_attempts:
        cause = Cause.EXHAUSTED
        error = {"code": "attempts_exhausted", "message": f"{reason}; {lost} attempts died"}
    same = (Job.status == JobStatus.RUNNING) & (Job.attempt == job.attempt)
    same &= Job.lease_expires_at == job.lease_expires_at
    same &= Job.cancel_requested == job.cancel_requested
    moved = move(session, job.id, cause, same, error=error, reason=reason, lost_attempts=lost)
    return TRANSITIONS[cause].target if moved else None


def interrupt(session: Session, job: Job, reason: str) -> None:
    """Queue a running job again, through no fault of its own: no attempt is counted against it.

    A job that should be cancelled is cancelled.
    """
    cause = Cause.CANCELLED if job.cancel_requested else Cause.LOST
    move(session, job.id, cause, Job.status == JobStatus.RUNNING, reason=reason)
