"""Health as the API shows it."""

from datetime import datetime

from pydantic import BaseModel, Field


class Health(BaseModel):
    """The process answers."""

    status: str
    version: str


class WorkerView(BaseModel):
    """A worker that has announced itself in the last seconds."""

    name: str
    kind: str
    host: str
    pid: int
    version: str
    device: str
    started_at: datetime
    contract: int = Field(0, description="Version of what it and the API agree on.")
    address: str | None = Field(
        None, description="Where other hosts reach its trainings; null of one that runs no jobs."
    )
    problem: str | None = Field(
        None, description="Why it takes no work: another version than the database's or the API's."
    )


class Readiness(BaseModel):
    """Database, Redis and workers are all there."""

    status: str
    version: str
    workers: list[WorkerView] = Field(
        description="Who is at work; empty on a server that asks for keys, where `/cluster` says."
    )
