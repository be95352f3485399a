"""Jobs, their events, metrics and checkpoints, as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from service.jobs.reports import report_folder
from service.store.models import (
    PRIORITY_NAMES,
    Checkpoint,
    EventLevel,
    EventType,
    Job,
    JobEvent,
    JobKind,
    JobNode,
    Priority,
    Visibility,
)
from service.store.status import JobStatus

# Shown in lists and stored as text: PostgreSQL takes no null character.
JobName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
JobVisibility = Annotated[
    Visibility,
    Field(
        description="`lab`: all may see the job, and use the encoder that it makes; `private`: "
        "only you and admins. Default: `lab`, but `private` if a private data set or encoder is "
        "used."
    ),
]

JobPriority = Annotated[
    Priority,
    Field(description="`low` makes room for others, and goes on later; `high` is for admins only."),
]
JobSlots = Annotated[
    int,
    Field(
        ge=1,
        le=1024,
        description="GPUs (or CPU slots) that it holds. Default, and least: one for each process.",
    ),
]
JOB_FIELDS = frozenset({"name", "visibility", "priority", "slots"})


class JobFields(Protocol):
    """What every request for a job says of the job itself: the fields in `JOB_FIELDS`."""

    @property
    def model_fields_set(self) -> set[str]:
        """The fields that the user gave."""

    @property
    def name(self) -> str | None:
        """For people."""

    @property
    def visibility(self) -> Visibility:
        """Who may see it."""

    @property
    def priority(self) -> Priority:
        """How important it is."""

    @property
    def slots(self) -> int | None:
        """How many it asks for."""


JOB_EXAMPLE: dict[str, Any] = {
    "id": "job_01k9zq6f3s8m4v7c2n5x0d1b9e",
    "kind": "train",
    "name": "our photographs",
    "user": "ada",
    "visibility": "lab",
    "pinned": False,
    "status": "running",
    "priority": "normal",
    "slots": 1,
    "worker": "gpu-server:4711",
    "nodes": [],
    "waiting": None,
    "attempt": 1,
    "cancel_requested": False,
    "config": {"dataset": "/data/photos", "encoder": {"architecture": "vit_tiny_patch16_224"}},
    "progress": {"step": 20, "total_steps": 60, "loss": 0.31, "eta_seconds": 41.5},
    "eta_seconds": 41.5,
    "error": None,
    "skipped": {
        "count": 1,
        "images": [{"image": "2026/img_0012.jpg", "reason": "is not an image that can be read"}],
    },
    "encoder": None,
    "created_at": "2026-11-23T10:00:00Z",
    "started_at": "2026-11-23T10:00:01Z",
    "finished_at": None,
    "collected_at": None,
    "links": {
        "self": "/jobs/job_01k9zq6f3s8m4v7c2n5x0d1b9e",
        "events": "/jobs/job_01k9zq6f3s8m4v7c2n5x0d1b9e/events",
        "metrics": "/jobs/job_01k9zq6f3s8m4v7c2n5x0d1b9e/metrics",
        "log": "/jobs/job_01k9zq6f3s8m4v7c2n5x0d1b9e/log",
        "checkpoints": "/jobs/job_01k9zq6f3s8m4v7c2n5x0d1b9e/checkpoints",
    },
}


class JobError(BaseModel):
    """Why a job failed."""

    code: str = Field(description="The reason for programs.")
    message: str | None = Field(description="The reason for people.")


class SkippedImage(BaseModel):
    """An image that could not be read."""

    image: str = Field(description="Its path below the data set's folder.")
    reason: str


class SkippedImages(BaseModel):
    """The images that a job did without."""

    count: int
    images: list[SkippedImage] = Field(description="The first hundred.")


class WaitingView(BaseModel):
    """Where a job stands in the queue."""

    position: int = Field(description="1: it is next.")
    reason: str = Field(description="What it waits for.")


class NodeView(BaseModel):
    """Where one node of a running job is."""

    worker: str
    slots: list[str] = Field(description="Ids of the slots of this worker that it holds.")
    state: Literal["awaited", "running", "finished", "stopped", "failed", "died"] = Field(
        description="`awaited`: its worker has still to join; the last four: how it ended."
    )

    @classmethod
    def of(cls, part: JobNode) -> Self:
        """Show a row."""
        state = part.ending or ("running" if part.owner else "awaited")
        return cls(worker=part.worker, slots=part.slot_ids, state=state)


class JobView(BaseModel):
    """One job."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: str
    kind: JobKind
    name: str | None
    user: str = Field(description="Name of its owner.")
    visibility: Visibility = Field(
        description="`lab`: all may see it, and use its encoder; `private`: only its owner and "
        "admins."
    )
    pinned: bool = Field(description="Nothing of it is removed to make room.")
    status: JobStatus
    priority: Priority
    slots: int = Field(description="GPUs, or CPU slots, that it needs.")
    worker: str | None = Field(description="Where it runs, while it does.")
    nodes: list[NodeView] = Field(
        description="Where each node of a running job is that has several (`runtime.nodes`), that "
        "of `worker` first; in the answers for one job only, else empty."
    )
    waiting: WaitingView | None = Field(
        description="While it is queued, in the answer of `GET /jobs/{id}` only."
    )
    attempt: int = Field(description="How often a worker has taken it.")
    cancel_requested: bool = Field(description="It is running, and its worker was asked to stop.")
    config: dict[str, Any] = Field(description="All settings, presets resolved, paths absolute.")
    progress: dict[str, Any] | None = Field(
        description="The latest metrics: `step` of `total_steps` (for `embed`: images; for "
        "`evaluate`: parts of the work), `loss`, `images_per_second`, `eta_seconds` and more; null "
        "until there are any."
    )
    eta_seconds: float | None = Field(description="Time left, while it runs.")
    error: JobError | None
    skipped: SkippedImages | None = Field(
        description="Images that could not be read; null if there were none so far. The job fails "
        "when they are more than `runtime.max_unreadable` of the data set."
    )
    encoder: str | None = Field(description="Id of the encoder that it made.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    collected_at: datetime | None = Field(
        description="When something of it was removed to make room; its events say what."
    )
    links: dict[str, str] = Field(description="Paths of what belongs to it.")

    @classmethod
    def of(cls, job: Job, user: str, encoder: str | None, parts: Sequence[JobNode] = ()) -> Self:
        """Show a row, with its owner's name, its encoder's id and its nodes' rows."""
        running = job.status == JobStatus.RUNNING
        return cls(
            id=job.id,
            kind=job.kind,
            name=job.name,
            user=user,
            visibility=job.visibility,
            pinned=job.pinned,
            status=job.status,
            priority=PRIORITY_NAMES[job.priority],
            slots=job.slots,
            worker=job.worker,
            nodes=[NodeView.of(part) for part in parts],
            waiting=None,
            attempt=job.attempt,
            cancel_requested=job.cancel_requested,
            config=job.config,
            progress=job.progress,
            eta_seconds=(job.progress or {}).get("eta_seconds") if running else None,
            error=JobError(**job.error) if job.error else None,
            skipped=SkippedImages.model_validate(job.skipped) if job.skipped else None,
            encoder=encoder,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            collected_at=job.collected_at,
            links=_links(job, encoder),
        )


_MADE: dict[JobKind, tuple[str, ...]] = {
    "train": ("checkpoints",),
    "embed": ("features",),
    "evaluate": (),
}


def _links(job: Job, encoder: str | None) -> dict[str, str]:
    path = f"/jobs/{job.id}"
    parts = ["events", "metrics", "log", *_MADE[job.kind]]
    if report_folder(job):
        parts.append("report")
    links = {"self": path, **{part: f"{path}/{part}" for part in parts}}
    if encoder:
        links |= {"encoder": f"/encoders/{encoder}", "weights": f"/encoders/{encoder}/weights"}
    return links


class JobPatch(BaseModel):
    """What to change of a job; what is left out, or null, stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"visibility": "private", "pinned": True}]}
    )

    name: JobName | None = Field(None, description="For people; its encoder gets it too.")
    visibility: JobVisibility | None = None
    priority: JobPriority | None = Field(None, description="`high` is for admins to give.")
    pinned: StrictBool | None = Field(None, description="Whether it is kept when room is made.")


class EventView(BaseModel):
    """One thing that happened to a job."""

    id: int
    time: datetime
    attempt: int
    level: EventLevel
    type: EventType
    step: int | None
    message: str = Field(description="Of type `status`: the new status.")
    data: dict[str, Any] | None = Field(description="Of type `metrics`: the values.")

    @classmethod
    def of(cls, event: JobEvent) -> Self:
        """Show a row."""
        return cls.model_validate(event, from_attributes=True)


class FileView(BaseModel):
    """One file of a checkpoint."""

    sha256: str
    bytes: int


class CheckpointView(BaseModel):
    """A complete checkpoint."""

    step: int
    created_at: datetime
    files: dict[str, FileView]
    encoder: str = Field(description="Path of its encoder's download.")

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """Show a row."""
        path = f"/jobs/{checkpoint.job_id}/checkpoints/{checkpoint.step}/encoder.safetensors"
        return cls(
            step=checkpoint.step,
            created_at=checkpoint.created_at,
            files=checkpoint.files,
            encoder=path,
        )


class CheckpointList(BaseModel):
    """The checkpoints that are kept, oldest first."""

    data: list[CheckpointView]


class ShardView(BaseModel):
    """One file of features, and the images in it."""

    file: str
    images: list[str]


class FeatureIndex(BaseModel):
    """What an `embed` job made, and how."""

    model_config = ConfigDict(extra="allow")

    images: int
    shards: list[ShardView] = Field(description="`/jobs/{id}/features/{file}` downloads each.")
    skipped: list[SkippedImage] = Field([], description="Images that are in none of the shards.")
