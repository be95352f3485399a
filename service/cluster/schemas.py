"""The cluster as the API shows it."""

from datetime import datetime

from pydantic import BaseModel, Field

from service.health.schemas import WorkerView
from service.store.models import Priority

PRIVATE = "private"


class ClusterSlot(BaseModel):
    """A GPU, or a CPU slot, of a worker."""

    id: str
    device: str
    memory_bytes: int | None = Field(description="What jobs may use of its memory.")
    free_bytes: int | None = Field(description="What of that is free now.")
    utilisation: float | None = Field(
        description="How busy it is, by all programs, from 0 to 1; null of a CPU slot."
    )
    job: str | None = Field(description="What runs on it: the job's id, or `private`.")
    user: str | None = Field(description="Whose job that is.")


class ClusterWorker(WorkerView):
    """A worker with its slots; one for embedding has none."""

    slots: list[ClusterSlot]


class QueuedJob(BaseModel):
    """A job that waits, in the order in which jobs will start if nothing changes."""

    position: int
    job: str = Field(description="Its id, or `private`.")
    user: str
    priority: Priority
    slots: int
    nodes: int = Field(description="Among how many workers its slots will be divided.")
    queued_at: datetime
    reason: str = Field(description="What it waits for.")
    starts_at: datetime | None = Field(
        description="When it will start, if all jobs take as long as expected (an hour, if nobody "
        "knows); null if that cannot be foreseen."
    )


class UserUsage(BaseModel):
    """What a user has of the cluster."""

    user: str
    running_slots: int
    queued_jobs: int
    recent_slot_hours: float = Field(
        description="Used lately, what was used one half-life ago counting half: among jobs of one "
        "class, whoever has least goes first."
    )
    week_slot_hours: float = Field(description="Used in the last seven days.")
    share: float = Field(description="Part of all that was used lately, from 0 to 1.")


class Limits(BaseModel):
    """What one user may have; null: no limit."""

    running_slots: int | None
    queued_jobs: int
    week_slot_hours: float | None


class Cluster(BaseModel):
    """Everything that scheduling depends on."""

    workers: list[ClusterWorker]
    queued_jobs: int = Field(description="How many wait in all.")
    queue: list[QueuedJob] = Field(description="The first 500 of them, in their order.")
    users: list[UserUsage]
    limits: Limits
