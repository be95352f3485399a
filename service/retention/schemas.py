"""Room made, and room taken, as the API shows them."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from service.retention.policy import Kind


class CollectRequest(BaseModel):
    """How to make room."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"dry_run": True}]})

    dry_run: StrictBool = Field(True, description="Only say what would go.")


class Removed(BaseModel):
    """Something of a job that went, or would go."""

    job_id: str
    user_id: str
    kind: Kind
    step: int | None = Field(description="Of a checkpoint.")
    bytes: int
    ended_at: datetime | None = Field(description="When its job ended.")
    reason: str


class Orphan(BaseModel):
    """A folder that belongs to no job."""

    path: str
    bytes: int


class Collected(BaseModel):
    """What went, or would go, and what stays."""

    dry_run: bool
    policy_set: bool = Field(description="Without any limit set, only orphans go.")
    removed: list[Removed]
    orphans: list[Orphan]
    bytes: int = Field(description="Of all that is named above.")
    kept_bytes: int = Field(description="Of jobs, as the rows say.")


class UserStorage(BaseModel):
    """Bytes that belong to one user."""

    user: str
    checkpoints: int
    artifacts: int = Field(description="Features, reports, metrics and logs of ended jobs.")
    encoders: int = Field(description="Final encoders.")
    uploads: int = Field(description="Uploaded data sets.")
    total: int


class Storage(BaseModel):
    """Bytes by user and kind, as the rows say; the disk's own figures beside them."""

    users: list[UserStorage]
    total: int
    quota_bytes: int | None = Field(description="Of all that jobs made; null: no limit.")
    user_quota_bytes: int | None
    disk_bytes: int = Field(description="Size of the disk that holds the artifacts.")
    disk_free_bytes: int
