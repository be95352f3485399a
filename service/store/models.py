"""The tables: users and their keys, jobs and all that belongs to them, the audit log."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.store.base import Base, utc_now
from service.store.status import Cause, JobStatus

JobKind = Literal["train", "embed", "evaluate"]
EventType = Literal["status", "message", "metrics", "checkpoint"]
NodeEnding = Literal["finished", "stopped", "failed", "died"]
EventLevel = Literal["info", "warning", "error"]

Role = Literal["viewer", "member", "admin"]
Visibility = Literal["private", "lab"]

LOCAL_USER_ID = "usr_local"
"""The user who is there from the start: whoever asks a server that is open to its own machine."""

Priority = Literal["low", "normal", "high"]
PRIORITIES: dict[Priority, int] = {"low": 0, "normal": 1, "high": 2}
PRIORITY_NAMES: dict[int, Priority] = {number: name for name, number in PRIORITIES.items()}

_STATUSES = ", ".join(f"'{status}'" for status in JobStatus)
_STATUS = Enum(
    JobStatus,
    native_enum=False,
    length=16,
    values_callable=lambda statuses: [str(status) for status in statuses],
)


_CAUSE = Enum(
    Cause,
    native_enum=False,
    length=16,
    values_callable=lambda causes: [str(cause) for cause in causes],
)


class User(Base):
    """Somebody who may use the service; `revoked_at` ends that, and keeps what they made."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role IN ('viewer', 'member', 'admin')", name="role_known"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    role: Mapped[Role] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    revoked_at: Mapped[datetime | None]


class ApiKey(Base):
    """A user's key, known by its digest only."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Who did what, when and from where; it outlives users and jobs."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    time: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    user_id: Mapped[str | None] = mapped_column(String(40))
    user_name: Mapped[str | None] = mapped_column(String(100))
    key_id: Mapped[str | None] = mapped_column(String(40))
    address: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(60))
    target: Mapped[str | None] = mapped_column(String(200))
    data: Mapped[dict[str, Any] | None]


class Job(Base):
    """One accepted job. `attempt` counts claims and fences every write of a worker.

    `slots` is how many GPUs (or CPU slots) it asks for, `slot_ids` which ones of `worker` it holds
    while it runs, `memory_bytes` what it is thought to need on each, and `expected_seconds` for how
    long. Of several `nodes` each has an equal part of the slots; `worker` is that of the first.
    `contract` is the version that a worker must know to take it. `files_bytes` is the size of what
    its last attempt left behind, without checkpoints and encoder; `collected_at` is when that was
    removed to make room.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status_known"),
        CheckConstraint(
            "(status = 'running') = (lease_owner IS NOT NULL)", name="lease_while_running"
        ),
        CheckConstraint("visibility IN ('private', 'lab')", name="visibility_known"),
        CheckConstraint("priority BETWEEN 0 AND 2", name="priority_known"),
        CheckConstraint("slots >= 1", name="slots_positive"),
        UniqueConstraint("user_id", "idempotency_key"),
        Index("ix_jobs_status_id", "status", "id"),
        Index("ix_jobs_user_id_id", "user_id", "id"),
        # Lists by what is rare among many jobs.
        Index("ix_jobs_kind_id", "kind", "id"),
        Index("ix_jobs_kind_status_id", "kind", "status", "id"),
        Index("ix_jobs_user_id_status_id", "user_id", "status", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    visibility: Mapped[Visibility] = mapped_column(String(16), default="lab")
    kind: Mapped[JobKind] = mapped_column(String(16))
    name: Mapped[str | None] = mapped_column(String(200))
    status: Mapped[JobStatus] = mapped_column(_STATUS, default=JobStatus.QUEUED)
    config: Mapped[dict[str, Any]]
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    request_sha256: Mapped[str] = mapped_column(String(64))
    pinned: Mapped[bool] = mapped_column(default=False)

    priority: Mapped[int] = mapped_column(default=PRIORITIES["normal"])
    slots: Mapped[int] = mapped_column(default=1)
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    expected_seconds: Mapped[float | None]
    queued_at: Mapped[datetime] = mapped_column(default=utc_now)
    worker: Mapped[str | None] = mapped_column(String(200))
    slot_ids: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    nodes: Mapped[int] = mapped_column(default=1, server_default="1")
    contract: Mapped[int] = mapped_column(server_default="1")

    attempt: Mapped[int] = mapped_column(default=0)
    lost_attempts: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[datetime | None] = mapped_column(index=True)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    preempt_requested: Mapped[bool] = mapped_column(default=False)
    enqueued_at: Mapped[datetime | None]

    progress: Mapped[dict[str, Any] | None]
    skipped: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    files_bytes: Mapped[int | None] = mapped_column(BigInteger)
    collected_at: Mapped[datetime | None]


class Attempt(Base):
    """One claim of a job, for the accounts: who used how many slots from when to when.

    It outlives its job, so that removing a job does not give its hours back. The database allows
    one open attempt a job.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("job_id", "attempt"),
        Index(
            "uq_attempts_open",
            "job_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_attempts_user_id_started_at", "user_id", "started_at"),
        Index("ix_attempts_started_at", "started_at"),
        Index("ix_attempts_ended_at", "ended_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(String(40))
    attempt: Mapped[int]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[JobKind] = mapped_column(String(16))
    owner: Mapped[str] = mapped_column(String(200))
    slots: Mapped[int]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ending: Mapped[Cause | None] = mapped_column(_CAUSE)


class JobNode(Base):
    """One node's part in the running attempt at a job of several; gone when the attempt ends.

    Its worker takes it by naming itself the `owner`, and shows that it lives by counting `beats`;
    `ending` and `problem` say how its process ended. All meet at `rendezvous`, `host:port`. The one
    of `rank` 0 is on the worker that claimed the job: there the job's own lease says the same.
    """

    __tablename__ = "job_nodes"
    __table_args__ = (UniqueConstraint("job_id", "rank"), Index("ix_job_nodes_worker", "worker"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    rank: Mapped[int]
    worker: Mapped[str] = mapped_column(String(200))
    slot_ids: Mapped[list[str]] = mapped_column(JSON)
    rendezvous: Mapped[str] = mapped_column(String(300))
    owner: Mapped[str | None] = mapped_column(String(200))
    beats: Mapped[int] = mapped_column(default=0)
    ending: Mapped[NodeEnding | None] = mapped_column(String(16))
    problem: Mapped[str | None]


class Measurement(Base):
    """What a training measured of itself: seconds of a step, and the memory of one process.

    It outlives its job, for estimates of later ones on the same kind of device.
    """

    __tablename__ = "measurements"
    __table_args__ = (Index("ix_measurements_device_measured_at", "device", "measured_at"),)

    job_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    device: Mapped[str] = mapped_column(String(200))
    config: Mapped[dict[str, Any]]
    step_seconds: Mapped[float]
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    measured_at: Mapped[datetime]


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
    bytes: Mapped[int] = mapped_column(BigInteger)
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


class Dataset(Base):
    """An uploaded data set: the folder `name` among the uploads. `bytes` counts all its files."""

    __tablename__ = "datasets"
    __table_args__ = (CheckConstraint("visibility IN ('private', 'lab')", name="visibility_known"),)

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    visibility: Mapped[Visibility] = mapped_column(String(16))
    images: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Chore(Base):
    """Something that one of several API processes does from time to time: when it is due again."""

    __tablename__ = "chores"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    next_at: Mapped[datetime]
