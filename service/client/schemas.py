"""What the service answers, as typed objects.

Fields that this version does not know are kept (`job.model_extra`), and words such as a job's
status are plain text, so that the client works with newer servers too.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pandas as pd

ENDED = ("succeeded", "failed", "cancelled")


class Answer(BaseModel):
    """Base of everything that the service answers."""

    model_config = ConfigDict(extra="allow", frozen=True)


class JobError(Answer):
    """Why a job failed."""

    code: str
    message: str | None = None


class SkippedImage(Answer):
    """An image that could not be read."""

    image: str
    reason: str


class SkippedImages(Answer):
    """The images that a job did without; the first hundred."""

    count: int
    images: list[SkippedImage]


class Waiting(Answer):
    """Where a job stands in the queue; 1: it is next."""

    position: int
    reason: str


class Node(Answer):
    """Where one node of a running job is; `state` is running, awaited, or how it ended."""

    worker: str
    slots: list[str]
    state: str


class Job(Answer):
    """One job: `train`, `evaluate` or `embed`."""

    id: str
    kind: str
    status: str
    name: str | None = None
    user: str
    visibility: str
    priority: str
    pinned: bool = False
    slots: int
    worker: str | None = None
    nodes: list[Node] = []
    waiting: Waiting | None = None
    attempt: int
    cancel_requested: bool
    config: dict[str, Any]
    progress: dict[str, Any] | None = None
    eta_seconds: float | None = None
    error: JobError | None = None
    skipped: SkippedImages | None = None
    encoder: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    links: dict[str, str]

    @property
    def has_ended(self) -> bool:
        """It succeeded, failed or was cancelled."""
        return self.status in ENDED

    def __str__(self) -> str:
        return repr(self)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """The few fields that tell jobs apart; `job.model_dump()` has all."""
        yield from ((None, self.id), ("kind", self.kind), ("status", self.status))
        if self.name:
            yield "name", self.name
        if self.encoder:
            yield "encoder", self.encoder


class Event(Answer):
    """One thing that happened to a job; `type` is status, message, metrics or checkpoint."""

    id: int
    time: datetime
    attempt: int
    level: str
    type: str
    step: int | None = None
    message: str
    data: dict[str, Any] | None = None


class CheckpointFile(Answer):
    """One file of a checkpoint."""

    sha256: str
    bytes: int


class Checkpoint(Answer):
    """A complete checkpoint; `encoder` is the path of its encoder's download."""

    step: int
    created_at: datetime
    files: dict[str, CheckpointFile]
    encoder: str


class Encoder(Answer):
    """An encoder: a base architecture, or the result of a job."""

    id: str
    kind: str
    name: str | None = None
    user: str | None = None
    visibility: str
    architecture: str
    base: str | None = None
    job: str | None = None
    patch_size: int
    dim: int
    depth: int
    prefix_tokens: int
    size: int
    mean: list[float]
    std: list[float]
    sha256: str | None = None
    bytes: int | None = None
    steps: int | None = None
    created_at: datetime | None = None
    links: dict[str, str]


class Dataset(Answer):
    """A folder of images on the server; `path` or `name` is what jobs take."""

    name: str
    path: str
    source: str
    images: int
    complete: bool
    bytes: int | None = None
    user: str | None = None
    visibility: str | None = None
    created_at: datetime | None = None


class UnreadableImage(Answer):
    """A file that looks like an image by its name, and is none."""

    file: str
    reason: str


class UploadedDataset(Dataset):
    """A new data set, and what of the upload is not in it."""

    unreadable: list[UnreadableImage]
    unreadable_count: int
    ignored: int


class Fit(Answer):
    """A worker on which a job could run if nothing else did."""

    worker: str
    slots: list[str]


class DryRun(Answer):
    """What a training would need, and when it would start."""

    memory_bytes: int
    step_seconds: float
    total_steps: int
    seconds: float
    start_in_seconds: float | None = None
    basis: str
    device: str
    fits: list[Fit]
    config: dict[str, Any]


class Shard(Answer):
    """One file of features, and the images in it."""

    file: str
    images: list[str]


class FeatureIndex(Answer):
    """What an `embed` job made."""

    images: int
    shards: list[Shard]
    skipped: list[SkippedImage] = []


class Slot(Answer):
    """A GPU, or a CPU slot, of a worker."""

    id: str
    device: str
    memory_bytes: int | None = None
    free_bytes: int | None = None
    job: str | None = None
    user: str | None = None


class Worker(Answer):
    """A live worker."""

    name: str
    kind: str
    host: str
    version: str
    device: str
    started_at: datetime
    address: str | None = None
    problem: str | None = None
    slots: list[Slot] = []


class QueuedJob(Answer):
    """A job that waits, in the order in which jobs will start."""

    position: int
    job: str
    user: str
    priority: str
    slots: int
    nodes: int = 1
    queued_at: datetime
    reason: str
    starts_at: datetime | None = None


class Usage(Answer):
    """What a user has of the cluster."""

    user: str
    running_slots: int
    queued_jobs: int
    recent_slot_hours: float
    week_slot_hours: float
    share: float


class Cluster(Answer):
    """What runs where, who waits, and who used how much."""

    workers: list[Worker]
    queued_jobs: int
    queue: list[QueuedJob]
    users: list[Usage]


class Readiness(Answer):
    """The service can do everything."""

    status: str
    version: str
    workers: list[Worker]


class Me(Answer):
    """Who asks, by the key that was sent."""

    id: str
    name: str
    role: str
    key: str | None = None


class Estimate(Answer):
    """A value and its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None


class Measured(Estimate):
    """One metric of one encoder; `difference` is to the first encoder."""

    encoder: str
    protocol: str
    metric: str
    unit: str
    difference: Estimate | None = None


class Report(Answer):
    """What an evaluation found; docs/evaluation.md says what each number means."""

    dataset: str
    size: int
    train_images: int
    val_images: int
    classes: list[str]
    results: list[Measured]
    notes: list[str] = []
    created_at: datetime

    def frame(self) -> "pd.DataFrame":
        """A row for each metric of each encoder, with its interval and its difference."""
        from service.client.frames import results_frame

        return results_frame(self)
