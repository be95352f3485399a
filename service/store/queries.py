"""Every question asked of the database, named by what it returns."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, func, or_, select, true
from sqlalchemy.orm import Session, defer

from service.store.models import (
    Attempt,
    Checkpoint,
    Dataset,
    Encoder,
    Job,
    JobEvent,
    JobKind,
    User,
)
from service.store.status import JobStatus


def job_by_id(session: Session, job_id: str) -> Job | None:
    """The job, or None."""
    return session.get(Job, job_id)


def job_by_idempotency_key(session: Session, user_id: str, key: str) -> Job | None:
    """The job that a user created with this key, or None."""
    return session.scalar(select(Job).where(Job.user_id == user_id, Job.idempotency_key == key))


def jobs_page(
    session: Session,
    limit: int,
    after: str | None = None,
    kind: JobKind | None = None,
    status: JobStatus | None = None,
    user: str | None = None,
    search: str = "",
    confined_to: str | None = None,
) -> Sequence[Job]:
    """Up to `limit` jobs older than the job `after`, newest first.

    Args:
        user: only those of the user of this name.
        search: only those in whose id, name, kind, data set, encoders or user's name each of these
            words is found.
        confined_to: id of the user whose private jobs alone are shown; None shows all.
    """
    query = select(Job).where(_shown_to(confined_to)).order_by(Job.id.desc()).limit(limit)
    if after:
        query = query.where(Job.id < after)
    if search:
        query = query.where(_found(search, *_texts_of_job()))
    if kind:
        query = query.where(Job.kind == kind)
    if status:
        query = query.where(Job.status == status)
    if user:
        # Not as a subquery: the database would not know how rare this user's jobs are.
        query = query.where(Job.user_id == session.scalar(select(User.id).where(User.name == user)))
    return session.scalars(query).all()


def running_jobs(session: Session) -> Sequence[Job]:
    """Jobs that a worker has."""
    return session.scalars(select(Job).where(Job.status == JobStatus.RUNNING)).all()


def count_queued(session: Session, limit: int, user_id: str | None = None) -> int:
    """How many jobs wait, all or a user's; `limit` if they are more."""
    query = select(Job.id).where(Job.status == JobStatus.QUEUED)
    if user_id is not None:
        query = query.where(Job.user_id == user_id)
    waiting = query.limit(limit).subquery()
    return session.scalar(select(func.count()).select_from(waiting)) or 0


def count_starts(session: Session, since: datetime) -> int:
    """How often a job was claimed since then."""
    query = select(func.count()).select_from(Attempt).where(Attempt.started_at >= since)
    return session.scalar(query) or 0


def queued_jobs_without_recent_message(
    session: Session, before: datetime, now: datetime, limit: int = 1000
) -> Sequence[str]:
    """Ids of queued jobs never enqueued, or enqueued before `before`, oldest first; and of those
    enqueued after `now`, by a clock that was wrong.
    """
    query = (
        select(Job.id)
        .where(Job.status == JobStatus.QUEUED)
        .where(or_(Job.enqueued_at.is_(None), Job.enqueued_at < before, Job.enqueued_at > now))
        .order_by(Job.id)
        .limit(limit)
    )
    return session.scalars(query).all()


def events_after(session: Session, job_id: str, after: int, limit: int = 500) -> Sequence[JobEvent]:
    """A job's events with an id above `after`, in order."""
    query = (
        select(JobEvent)
        .where(JobEvent.job_id == job_id, JobEvent.id > after)
        .order_by(JobEvent.id)
        .limit(limit)
    )
    return session.scalars(query).all()


def source_of(session: Session, job_id: str) -> dict[str, str]:
    """What its first event says of the request that made a job; empty if nothing."""
    first = events_after(session, job_id, 0, limit=1)
    return (first[0].data or {}) if first else {}


def metrics_page(
    session: Session, job_id: str, limit: int, after_step: int = -1
) -> Sequence[JobEvent]:
    """A job's metrics above a step, by step; of a step done twice, the later attempt's."""
    latest = (
        select(func.max(JobEvent.id))
        .where(JobEvent.job_id == job_id, JobEvent.type == "metrics")
        .where(JobEvent.step > after_step)
        .group_by(JobEvent.step)
        .order_by(JobEvent.step)
        .limit(limit)
    )
    query = select(JobEvent).where(JobEvent.id.in_(latest)).order_by(JobEvent.step)
    return session.scalars(query).all()


def metrics_times(session: Session, job_id: str) -> set[tuple[int, str]]:
    """Step and time of all metrics that a job has recorded."""
    query = select(JobEvent.step, JobEvent.data["time"].as_string()).where(
        JobEvent.job_id == job_id, JobEvent.type == "metrics"
    )
    return {(step, time) for step, time in session.execute(query)}


def checkpoints_of(session: Session, job_id: str) -> Sequence[Checkpoint]:
    """A job's checkpoints by step."""
    query = select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.step)
    return session.scalars(query).all()


def encoder_by_id(session: Session, encoder_id: str) -> Encoder | None:
    """The encoder, or None."""
    return session.get(Encoder, encoder_id)


def encoder_of_job(session: Session, job_id: str) -> Encoder | None:
    """The encoder that a job made, or None."""
    return session.scalar(select(Encoder).where(Encoder.job_id == job_id))


def encoder_ids(session: Session, job_ids: Sequence[str]) -> dict[str, str]:
    """The ids of the encoders that jobs made, by job."""
    query = select(Encoder.job_id, Encoder.id).where(Encoder.job_id.in_(job_ids))
    return {row.job_id: row.id for row in session.execute(query)}


def jobs_by_id(session: Session, job_ids: Iterable[str]) -> dict[str, Job]:
    """The jobs, by id."""
    return {job.id: job for job in session.scalars(select(Job).where(Job.id.in_(set(job_ids))))}


def encoders_page(
    session: Session,
    limit: int,
    after: str | None = None,
    search: str = "",
    confined_to: str | None = None,
) -> Sequence[Encoder]:
    """Up to `limit` encoders older than `after`, newest first; `confined_to` as for jobs.

    Args:
        search: only those in whose id, name or base each of these words is found.
    """
    query = (
        select(Encoder)
        .join(Job, Job.id == Encoder.job_id)
        .where(_shown_to(confined_to))
        .order_by(Encoder.id.desc())
        .limit(limit)
    )
    if after:
        query = query.where(Encoder.id < after)
    if search:
        query = query.where(_found(search, Encoder.id, Encoder.name, Encoder.base))
    return session.scalars(query).all()


def dataset_by_name(session: Session, name: str) -> Dataset | None:
    """The uploaded data set, or None."""
    return session.get(Dataset, name)


def datasets_by_name(session: Session) -> dict[str, Dataset]:
    """All uploaded data sets."""
    return {row.name: row for row in session.scalars(select(Dataset))}


def active_jobs(session: Session) -> Sequence[Job]:
    """Jobs that wait or run."""
    query = select(Job).where(Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING)))
    return session.scalars(query).all()


def jobs_of(session: Session, job_ids: Sequence[str]) -> Sequence[Job]:
    """The jobs of these ids, without their configs."""
    query = select(Job).where(Job.id.in_(job_ids)).options(defer(Job.config))
    return session.scalars(query).all()


def user_name(session: Session, user_id: str) -> str:
    """What a user is called."""
    return user_names(session, [user_id])[user_id]


def user_names(session: Session, user_ids: Iterable[str]) -> dict[str, str]:
    """What users are called, by id."""
    query = select(User.id, User.name).where(User.id.in_(set(user_ids)))
    return {row.id: row.name for row in session.execute(query)}


def _found(search: str, *texts: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """Whether each word is part of one of the texts, whatever the case of its letters."""
    words = dict.fromkeys(search.split())
    return and_(
        true(), *(or_(*(text.icontains(word, autoescape=True) for text in texts)) for word in words)
    )


def _texts_of_job() -> tuple[SQLColumnExpression[Any], ...]:
    user = select(User.name).where(User.id == Job.user_id).scalar_subquery()
    named = (Job.config[key].as_string() for key in ("dataset", "encoder", "encoders"))
    return Job.id, Job.name, Job.kind, user, *named


def _shown_to(user_id: str | None) -> ColumnElement[bool]:
    if user_id is None:
        return true()
    return or_(Job.visibility == "lab", Job.user_id == user_id)
