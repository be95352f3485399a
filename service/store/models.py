"""The tables: jobs, their events, their checkpoints, and the encoders they made."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.store.base import Base, utc_now
from service.store.status import JobStatus

JobKind = Literal["train", "embed", "evaluate"]
EventType = Literal["status", "message", "metrics", "checkpoint"]
EventLevel = Literal["info", "warning", "error"]

_STATUSES = ", ".join(f"'{status}'" for status in JobStatus)
_STATUS = Enum(
    JobStatus,
    native_enum=False,
    length=16,
    values_callable=lambda statuses: [str(status) for status in statuses],
)


class Job(Base):
    """One accepted job. `attempt` counts claims and fences every write of a worker."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status_known"),
        CheckConstraint(
            "(status = 'running') = (lease_owner IS NOT NULL)", name="lease_while_running"
        ),
        Index("ix_jobs_status_id", "status", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[JobKind] = mapped_column(String(16))
    name: Mapped[str | None] = mapped_column(String(200))
    status: Mapped[JobStatus] = mapped_column(_STATUS, default=JobStatus.QUEUED)
    config: Mapped[dict[str, Any]]
    idempotency_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    request_sha256: Mapped[str] = mapped_column(String(64))

    attempt: Mapped[int] = mapped_column(default=0)
    lost_attempts: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[datetime | None] = mapped_column(index=True)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    enqueued_at: Mapped[datetime | None]

    progress: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobEvent(Base):
    """One thing that happened to a job, in order; `data` of type `metrics` holds the values."""

    __tablename__ = "job_events"
    __table_args__ = (
        Index("ix_job_events_job_id_id", "job_id", "id"),
        Index("ix_job_events_job_id_type_step", "job_id", "type", "step"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    time: Mapped[datetime] = mapped_column(default=utc_now)
    level: Mapped[EventLevel] = mapped_column(String(16), default="info")
    type: Mapped[EventType] = mapped_column(String(16))
    step: Mapped[int | None]
    message: Mapped[str]
    data: Mapped[dict[str, Any] | None]


class Checkpoint(Base):
    """A complete checkpoint on disk; the row is written after its folder was renamed in place."""

    __tablename__ = "checkpoints"
    __table_args__ = (UniqueConstraint("job_id", "step"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    step: Mapped[int]
    path: Mapped[str] = mapped_column(String(1000))
    files: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Encoder(Base):
    """An encoder that a job made. `path` is its weights file, below the artifacts folder."""

    __tablename__ = "encoders"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), unique=True)
    name: Mapped[str | None] = mapped_column(String(200))
    architecture: Mapped[str] = mapped_column(String(200))
    base: Mapped[str] = mapped_column(String(1200))
    path: Mapped[str] = mapped_column(String(1000))
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    steps: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
