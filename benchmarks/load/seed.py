"""Filling a database with jobs as a server has them after months."""

from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from paka.presets import resolve
from service.store.base import utc_now
from service.store.ids import new_id
from service.store.models import LOCAL_USER_ID, Encoder, Job, JobEvent
from service.store.session import Database

_CHUNK = 5000
EVENTS_OF_A_JOB = 3
_KINDS = ("train", "train", "train", "evaluate", "embed")
_STATUSES = ("succeeded",) * 8 + ("failed", "cancelled")


def fill(database: Database, count: int, queued: int = 0) -> None:
    """Add `count` jobs that have ended, with encoders and events, and `queued` that wait."""
    config = resolve({"dataset": "/data/photos"}, "light").model_dump(mode="json")
    for start in range(0, count + queued, _CHUNK):
        numbers = range(start, min(start + _CHUNK, count + queued))
        jobs = [_job(number, config, waits=number >= count) for number in numbers]
        with database.write() as session:
            session.execute(insert(Job), jobs)
            if encoders := [_encoder(job) for job in jobs if _made_encoder(job)]:
                session.execute(insert(Encoder), encoders)
            session.execute(insert(JobEvent), [e for job in jobs for e in _events(job)])


def _job(number: int, config: dict[str, Any], waits: bool) -> dict[str, Any]:
    now = utc_now() - timedelta(seconds=1_000_000 - number)
    status = "queued" if waits else _STATUSES[number % len(_STATUSES)]
    return {
        "id": new_id("job"),
        "user_id": LOCAL_USER_ID,
        "kind": "train" if waits else _KINDS[number % len(_KINDS)],
        "name": f"job {number}",
        "status": status,
        "config": config,
        "request_sha256": f"{number:064}",
        "progress": {"step": 60, "total_steps": 60, "loss": 0.3, "eta_seconds": 0.0},
        "created_at": now,
        "queued_at": now,
        "finished_at": None if waits else now,
    }


def _made_encoder(job: dict[str, Any]) -> bool:
    return job["kind"] == "train" and job["status"] == "succeeded"


def _encoder(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": new_id("enc"),
        "job_id": job["id"],
        "architecture": "vit_tiny_patch16_224",
        "base": "vit_tiny_patch16_224",
        "path": f"jobs/{job['id']}/final/encoder.safetensors",
        "sha256": "0" * 64,
        "bytes": 1,
        "steps": 60,
    }


def _events(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"job_id": job["id"], "attempt": 1, "type": "status", "message": message}
        for message in ("queued", "running", job["status"])[:EVENTS_OF_A_JOB]
    ]
