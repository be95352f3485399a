"""What is done to a job by whoever does not run it: creation, cancel, resume, deletion, changes.

All functions take an open write session; the caller's transaction is short. What its worker does is
in `attempts`; how a status changes, in `transitions`.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import true, update
from sqlalchemy.orm import Session

from service.store.base import utc_now
from service.store.contract import CONTRACT_VERSION
from service.store.ids import new_id
from service.store.models import (
    LOCAL_USER_ID,
    PRIORITIES,
    Checkpoint,
    Encoder,
    Job,
    JobKind,
    Visibility,
)
from service.store.status import TERMINAL, Cause, IllegalTransition, JobStatus
from service.store.transitions import NewEvent, add_events, locked, move


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
    nodes: int = 1,
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
        nodes=nodes,
        memory_bytes=memory_bytes,
        expected_seconds=expected_seconds,
        contract=CONTRACT_VERSION,
    )
    session.add(job)
    session.flush()
    add_events(session, job.id, 0, [NewEvent("status", JobStatus.QUEUED, source)])
    return job


def cancel(session: Session, job_id: str) -> Job:
    """Cancel a queued job at once; ask the worker of a running one to stop it.

    Raises:
        IllegalTransition: the job has already ended.
        sqlalchemy.exc.NoResultFound: there is no such job.
    """
    job = locked(session, job_id)
    if job.status in TERMINAL:
        raise IllegalTransition(job_id, job.status, "cancelled")
    if job.status == JobStatus.QUEUED:
        move(session, job_id, Cause.CANCELLED, Job.status == JobStatus.QUEUED)
        return locked(session, job_id)
    if not job.cancel_requested:
        job.cancel_requested = True
        add_events(session, job_id, job.attempt, [NewEvent("message", "cancel requested")])
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
        add_events(session, job_id, attempt, [event])


def resume(session: Session, job_id: str) -> Job:
    """Queue a failed or cancelled job again; it goes on from its last checkpoint.

    Raises:
        IllegalTransition: the job has not ended, or has succeeded.
        sqlalchemy.exc.NoResultFound: there is no such job.
    """
    moved = move(session, job_id, Cause.RESUMED, true(), lost_attempts=0)
    job = locked(session, job_id)
    if not moved:
        raise IllegalTransition(job_id, job.status, "resumed")
    return job


def delete(session: Session, job_id: str) -> None:
    """Remove a job that has ended, with its events, its checkpoints' rows and its encoder's.

    Raises:
        IllegalTransition: the job has not ended; cancel it first.
        sqlalchemy.exc.NoResultFound: there is no such job.
    """
    job = locked(session, job_id)
    if job.status not in TERMINAL:
        raise IllegalTransition(job_id, job.status, "deleted")
    session.delete(job)
    session.flush()


def change(session: Session, job_id: str, values: dict[str, Any]) -> Job:
    """Give a job another name, visibility or pin; its encoder goes by the same name.

    Raises:
        sqlalchemy.exc.NoResultFound: there is no such job.
    """
    job = locked(session, job_id)
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
    job = locked(session, job_id)
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
    add_events(session, job_id, job.attempt, [event])
    return True


def has_ended(session: Session, job_id: str) -> bool:
    """Whether the job has ended; it cannot be resumed until the transaction ends."""
    return locked(session, job_id).status in TERMINAL


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
