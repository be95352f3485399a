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
_KINDS = ("train", "train", "train", "evaluate", "embed")
_STATUSES = ("succeeded",) * 7 + ("failed",) * 2 + ("cancelled",)


def fill(database: Database, count: int) -> str:
    """Add so many jobs that have ended, with encoders and events; return the id of the 21st."""
    config = resolve({"dataset": "/data/photos"}, "light").model_dump(mode="json")
    ids: list[str] = []
    for start in range(0, count, _CHUNK):
        jobs = [_job(number, config) for number in range(start, min(start + _CHUNK, count))]
        with database.write() as session:
            session.execute(insert(Job), jobs)
            session.execute(insert(Encoder), [_encoder(j) for j in jobs if _made_encoder(j)])
            session.execute(insert(JobEvent), [e for job in jobs for e in _events(job)])
        ids += [job["id"] for job in jobs]
    return sorted(ids)[20]


def _job(number: int, config: dict[str, Any]) -> dict[str, Any]:
    now = utc_now() - timedelta(seconds=1_000_000 - number)
    return {
        "id": new_id("job"),
        "user_id": LOCAL_USER_ID,
        "kind": _KINDS[number % len(_KINDS)],
        "name": f"job {number}",
        "status": _STATUSES[number % len(_STATUSES)],
        "config": config,
        "request_sha256": f"{number:064}",
        "progress": {"step": 60, "total_steps": 60, "loss": 0.3, "eta_seconds": 0.0},
        "created_at": now,
        "queued_at": now,
        "finished_at": now,
        "files_bytes": 0,
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
        for message in ("queued", "running", job["status"])
    ]
