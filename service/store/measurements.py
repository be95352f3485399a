"""How fast trainings ran and how much memory they took, kept for estimates of later ones."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from paka.config import TrainConfig
from paka.estimate import Measured
from service.store.base import utc_now
from service.store.models import Job, Measurement

_STEPS = 50
"""A run of fewer steps has measured little more than its start."""

_LATEST = 200
"""How many are looked at: of one device, the latest."""


def keep(session: Session, job: Job, device: str) -> None:
    """Note what a training has measured by its last metrics; a later attempt's replaces it."""
    progress = job.progress or {}
    measured = "step_seconds" in progress and progress["step"] >= _STEPS
    if job.kind != "train" or not measured:
        return
    session.merge(
        Measurement(
            job_id=job.id,
            device=device,
            config=_as_it_ran(job.config, progress),
            step_seconds=progress["step_seconds"],
            memory_bytes=progress["peak_memory_bytes"],
            measured_at=utc_now(),
        )
    )


def _as_it_ran(config: dict[str, Any], progress: dict[str, Any]) -> dict[str, Any]:
    """The config with its batch split as `runtime.auto_batch` may have split it."""
    optim = config["optim"]
    parts = progress.get("accumulate", optim["accumulate"])
    return {**config, "optim": {**optim, "accumulate": parts}}


def latest(session: Session, device: str) -> list[Measured]:
    """What was measured on this device lately."""
    rows = session.scalars(
        select(Measurement)
        .where(Measurement.device == device)
        .order_by(Measurement.measured_at.desc())
        .limit(_LATEST)
    )
    return [
        Measured(
            TrainConfig.model_validate(row.config), row.device, row.step_seconds, row.memory_bytes
        )
        for row in rows
    ]
