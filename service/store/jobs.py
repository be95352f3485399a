"""Every change of a job: creation, claim, lease, cancel, requeue, end, deletion.

A status changes in `claim` and `_move` only: in one UPDATE that names the statuses it may leave,
with one event that names the cause, and with the attempt's row that it opens or closes.

All functions take an open write session; the caller's transaction is short. A worker's writes are
fenced: they name the attempt and owner of its lease, and touch nothing once the lease is lost.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, literal, select, true, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from service.store.base import UtcDateTime, utc_now
from service.store.contract import CONTRACT_VERSION
from service.store.ids import new_id
from service.store.models import (
    LOCAL_USER_ID,
    PRIORITIES,
    Attempt,
    Checkpoint,
    Encoder,
    EventLevel,
    EventType,
    Job,
    JobEvent,
    JobKind,
    Visibility,
)
from service.store.status import TERMINAL, TRANSITIONS, Cause, IllegalTransition, JobStatus

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


class NewEvent(NamedTuple):
    """An event about to be recorded."""

    type: EventType
    message: str
    data: dict[str, Any] | None = None
    step: int | None = None
    level: EventLevel = "info"


def create(
    session: Session,
    kind: JobKind,
    config: dict[str, Any],
    *,
    request_sha256: str,
    user_id: str = LOCAL_USER_ID,
    visibility: Visibility = "lab",
    name: str | None = None,
    idempotency_key: str | None = None,
    priority: int = PRIORITIES["normal"],
    slots: int = 1,
    memory_bytes: int | None = None,
    expected_seconds: float | None = None,
    source: dict[str, str] | None = None,
) -> Job:
    """Add a queued job of a user and its first event, which tells the `source`: the request."""
    job = Job(
        id=new_id("job"),
        user_id=user_id,
        visibility=visibility,
        kind=kind,
        name=name,
        config=config,
        request_sha256=request_sha256,
        idempotency_key=idempotency_key,
        priority=priority,
        slots=slots,
        memory_bytes=memory_bytes,
        expected_seconds=expected_seconds,
        contract=CONTRACT_VERSION,
    )
    session.add(job)
    session.flush()
    _add_events(session, job.id, 0, [NewEvent("status", JobStatus.QUEUED, source)])
    return job


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
    _add_events(session, job_id, job.attempt, [NewEvent("status", target, about)])
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
    _add_events(session, lease.job_id, lease.attempt, events)
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
    _add_events(session, lease.job_id, lease.attempt, [event])


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
    if not _move(session, lease.job_id, _ENDINGS[status], lease.held, error=error):
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
    _move(session, lease.job_id, cause, lease.held, reason=reason)
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
    moved = _move(session, job.id, cause, same, error=error, reason=reason, lost_attempts=lost)
    return TRANSITIONS[cause].target if moved else None


def interrupt(session: Session, job: Job, reason: str) -> None:
    """Queue a running job again, through no fault of its own: no attempt is counted against it.

    A job that should be cancelled is cancelled.
    """
    cause = Cause.CANCELLED if job.cancel_requested else Cause.LOST
    _move(session, job.id, cause, Job.status == JobStatus.RUNNING, reason=reason)


def cancel(session: Session, job_id: str) -> Job:
    """Cancel a queued job at once; ask the worker of a running one to stop it.

    Raises:
        IllegalTransition: the job has already ended.
        sqlalchemy.exc.NoResultFound: there is no such job.
    """
    job = _locked(session, job_id)
    if job.status in TERMINAL:
        raise IllegalTransition(job_id, job.status, JobStatus.CANCELLED)
    if job.status == JobStatus.QUEUED:
        _move(session, job_id, Cause.CANCELLED, Job.status == JobStatus.QUEUED)
        return _locked(session, job_id)
    if not job.cancel_requested:
        job.cancel_requested = True
        _add_events(session, job_id, job.attempt, [NewEvent("message", "cancel requested")])
    return job


def ask_to_leave(session: Session, job_id: str) -> None:
    """Ask the worker of a running job to give it back, because another needs its place."""
    attempt: int | None = session.scalar(
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.RUNNING, ~Job.preempt_requested)
        .values(preempt_requested=True)
        .returning(Job.attempt)
    )
    if attempt is not None:
        event = NewEvent("message", "a more important job needs its place")
        _add_events(session, job_id, attempt, [event])


def resume(session: Session, job_id: str) -> Job:
    """Queue a failed or cancelled job again; it goes on from its last checkpoint.

    Raises:
        IllegalTransition: the job has not ended, or has succeeded.
        sqlalchemy.exc.NoResultFound: there is no such job.
    """
    moved = _move(session, job_id, Cause.RESUMED, true(), lost_attempts=0)
    job = _locked(session, job_id)
    if not moved:
        raise IllegalTransition(job_id, job.status, JobStatus.QUEUED)
    return job


def delete(session: Session, job_id: str) -> None:
    """Remove a job that has ended, with its events, its checkpoints' rows and its encoder's.

    Raises:
        IllegalTransition: the job has not ended; cancel it first.
        sqlalchemy.exc.NoResultFound: there is no such job.
    """
    job = _locked(session, job_id)
    if job.status not in TERMINAL:
        raise IllegalTransition(job_id, job.status, "deleted")
    session.delete(job)
    session.flush()


def change(session: Session, job_id: str, values: dict[str, Any]) -> Job:
    """Give a job another name, visibility or pin; its encoder goes by the same name.

    Raises:
        sqlalchemy.exc.NoResultFound: there is no such job.
    """
    job = _locked(session, job_id)
    for name, value in values.items():
        setattr(job, name, value)
    if "name" in values:
        named = update(Encoder).where(Encoder.job_id == job_id).values(name=values["name"])
        session.execute(named)
    session.flush()
    return job


def collect(
    session: Session,
    job_id: str,
    steps: Iterable[int],
    *,
    artifacts: bool,
    encoder: bool,
    reason: str,
) -> bool:
    """Drop what makes room: the rows of checkpoints at `steps` and of the encoder, the size of the
    rest; say so in an event. False, and nothing is changed, if the job has not ended, is pinned, or
    has none of it any more.

    Raises:
        sqlalchemy.exc.NoResultFound: there is no such job.
    """
    job = _locked(session, job_id)
    if job.status not in TERMINAL or job.pinned:
        return False
    mine = (Checkpoint.job_id == job_id) & Checkpoint.step.in_(list(steps))
    gone = session.scalars(delete_rows(Checkpoint).where(mine).returning(Checkpoint.step)).all()
    what = [f"checkpoint {step}" for step in sorted(gone)]
    if artifacts and job.files_bytes:
        job.files_bytes = 0
        what.append("artifacts")
    own = delete_rows(Encoder).where(Encoder.job_id == job_id).returning(Encoder.id)
    if encoder and session.scalar(own):
        what.append("encoder")
    if not what:
        return False
    job.collected_at = utc_now()
    event = NewEvent("message", f"removed to make room: {', '.join(what)}", {"reason": reason})
    _add_events(session, job_id, job.attempt, [event])
    return True


def has_ended(session: Session, job_id: str) -> bool:
    """Whether the job has ended; it cannot be resumed until the transaction ends."""
    return _locked(session, job_id).status in TERMINAL


def note_size(session: Session, job_id: str, size: int) -> None:
    """Note the bytes of what an ended job has left, beside checkpoints and encoder."""
    session.execute(
        update(Job).where(Job.id == job_id, Job.status.in_(list(TERMINAL))).values(files_bytes=size)
    )


def mark_enqueued(session: Session, job_ids: Iterable[str]) -> None:
    """Note that the queued jobs' messages have been sent just now."""
    session.execute(
        update(Job)
        .where(Job.id.in_(list(job_ids)), Job.status == JobStatus.QUEUED)
        .values(enqueued_at=utc_now())
    )


def _move(
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
    values: dict[str, Any] = {
        "status": target,
        "lease_owner": None,
        "lease_expires_at": None,
        "worker": None,
        "slot_ids": None,
        "enqueued_at": None,
        "cancel_requested": False,
        "preempt_requested": False,
        "error": error,
    }
    if target == JobStatus.QUEUED:
        values |= {"queued_at": now, "finished_at": None, "files_bytes": None}
    else:
        values |= {"finished_at": now}
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
    about = {"cause": cause, "reason": reason, "error": error}
    data = {key: value for key, value in about.items() if value}
    level: EventLevel = "error" if target == JobStatus.FAILED else "info"
    _add_events(session, job_id, attempt, [NewEvent("status", target, data, level=level)])
    return True


def _locked(session: Session, job_id: str) -> Job:
    """The job as it is now, held against other writers until the transaction ends."""
    return session.get_one(Job, job_id, populate_existing=True, with_for_update=True)


def _add_events(session: Session, job_id: str, attempt: int, events: Iterable[NewEvent]) -> None:
    session.add_all(JobEvent(job_id=job_id, attempt=attempt, **event._asdict()) for event in events)
    session.flush()
