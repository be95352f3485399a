"""A server for measurements within one process: its application, and jobs and workers in it."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from redis import Redis
from sqlalchemy import func, insert, select, update

from paka.presets import resolve
from service import commands, preflight
from service.app import create_app
from service.store import attempts
from service.store.base import utc_now
from service.store.contract import CONTRACT_VERSION, JOBS_QUEUE, RUN_JOB_TASK, worker_key
from service.store.ids import new_id
from service.store.migrate import upgrade
from service.store.models import Job, User
from service.store.places import Slot, Worker
from service.store.scheduling import LOW, NORMAL
from service.store.session import Database
from service.store.settings import Settings
from service.store.status import JobStatus

USERS = 20
SLOTS = 4
_CHUNK = 5000
_MANY = 1_000_000
"""Above all that is measured, for limits that are not."""


@contextmanager
def application(home: Path, images: Path) -> Iterator[FastAPI]:
    """An application on SQLite and a private Redis, which reconciles nothing by itself."""
    socket = home / "redis.sock"
    settings = Settings(
        home=home,
        redis_url=f"unix://{socket}",
        data_roots=(images.parent,),
        auth="off",
        reconcile_seconds=3600,
        message_seconds=1,
        queue_limit=_MANY,
        user_queued_jobs=_MANY,
        rate_limit=_MANY,
    )
    upgrade(settings.database)
    redis = subprocess.Popen(commands.redis(preflight.find_redis(), home, socket))
    try:
        while not socket.exists():
            time.sleep(0.05)
        yield create_app(settings)
    finally:
        redis.terminate()
        redis.wait()


def worker(name: str, slots: int = SLOTS) -> Worker:
    """A worker with slots of unknown, so of enough, memory."""
    return Worker(name, tuple(Slot(f"{name}-{number}") for number in range(slots)))


def occupy(database: Database, redis: Redis, one: Worker) -> None:
    """Announce a worker, and give each of its slots to a job of low priority."""
    about = {"name": one.name, "kind": "jobs", "host": "h", "pid": 1, "version": "1"}
    about |= {"device": "cuda", "contract": CONTRACT_VERSION, "started_at": utc_now().isoformat()}
    nothing = {"device": "cuda", "total_bytes": None, "free_bytes": None}
    slots = [{"id": slot.id, **nothing} for slot in one.slots]
    redis.set(worker_key("jobs", one.name), json.dumps({**about, "slots": slots}))
    with database.write() as session:
        for slot in one.ids:
            job = _job("u0") | {"priority": LOW}
            session.execute(insert(Job), [job])
            assert attempts.claim(session, job["id"], "w:1", 3600, one.name, (slot,))


def add_users(database: Database) -> None:
    """Add those whose jobs wait."""
    users = [{"id": f"u{number}", "name": f"user {number}"} for number in range(USERS)]
    with database.write() as session:
        session.execute(insert(User), [{**one, "role": "member"} for one in users])


def let_wait(database: Database, redis: Redis, images: Path, count: int) -> None:
    """Add jobs of two slots, with their messages, until so many wait."""
    config = resolve({"dataset": str(images)}, "tiny").model_dump(mode="json")
    with database.read() as session:
        waiting = select(func.count()).select_from(Job).where(Job.status == JobStatus.QUEUED)
        there = session.scalar(waiting) or 0
    for start in range(there, count, _CHUNK):
        numbers = range(start, min(start + _CHUNK, count))
        jobs = [_job(f"u{number % USERS}") | {"config": config} for number in numbers]
        with database.write() as session:
            session.execute(insert(Job), jobs)
        redis.rpush(JOBS_QUEUE, *(_message(job["id"]) for job in jobs))


def look_for_messages(database: Database) -> None:
    """Make the messages of all jobs due to be looked for."""
    before = utc_now() - timedelta(hours=1)
    with database.write() as session:
        queued = update(Job).where(Job.status == JobStatus.QUEUED)
        session.execute(queued.values(enqueued_at=before))


def _job(user: str) -> dict[str, Any]:
    return {
        "id": new_id("job"),
        "user_id": user,
        "kind": "train",
        "config": {},
        "request_sha256": "0" * 64,
        "priority": NORMAL,
        "slots": 2,
    }


def _message(job_id: str) -> str:
    """As long as Celery's."""
    headers = {"id": job_id, "task": RUN_JOB_TASK, "argsrepr": f"['{job_id}']", "more": "." * 500}
    return json.dumps({"headers": headers, "body": "." * 200})
