"""The Celery application of the workers: `celery -A worker.app worker -Q paka.jobs …`.

Jobs:       -Q paka.jobs -P threads -c 1    each job is a process of its own
Embedding:  -Q paka.embed -P solo           encoders live in the worker's own memory
"""

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from celery.signals import setup_logging, worker_ready, worker_shutdown, worker_shutting_down

from service.store.broker import make_celery, make_redis
from service.store.contract import EMBED_QUEUE, EMBED_TASK, RUN_JOB_TASK
from service.store.session import Database
from service.store.settings import get_settings
from service.store.versions import DatabaseVersion
from worker.announce import Announcement
from worker.gpus import describe_device
from worker.intake import Intake
from worker.logs import configure_logs
from worker.run_job import JobRunner

if TYPE_CHECKING:
    from worker.embed import Embedder

app = make_celery(get_settings())
stopping = threading.Event()
_announcements: list[Announcement] = []


@cache
def _runner() -> JobRunner:
    settings = get_settings()
    return JobRunner(Database(settings.database), app, settings, stopping)


@cache
def _embedder() -> "Embedder":
    from worker.embed import Embedder
    from worker.encoders import WarmEncoders

    settings = get_settings()
    return Embedder(make_redis(settings), WarmEncoders(settings.embed_models), stopping)


@app.task(name=RUN_JOB_TASK)
def run_job(job_id: str) -> None:
    """Run one job to its end."""
    _runner().run(job_id)


@app.task(name=EMBED_TASK)
def embed_pending() -> None:
    """Answer all embedding requests that wait."""
    _embedder().drain()


@setup_logging.connect
def _logs(loglevel: int | str | None = None, **_: Any) -> None:
    configure_logs(loglevel or "INFO")


@worker_ready.connect
def _ready(sender: Any, **_: Any) -> None:
    """Announce the worker; one for embedding loads torch first, not within the first request."""
    redis, device = make_redis(get_settings()), describe_device()
    if EMBED_QUEUE in sender.app.amqp.queues.consume_from:
        _embedder()
        _announcements.append(Announcement(redis, "embed", device))
    else:
        version = DatabaseVersion(_runner().database)
        intake = Intake(sender, version)
        _announcements.append(Announcement(redis, "jobs", device, intake.check))


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    """Celery waits for running tasks; tell them not to take their time."""
    stopping.set()


@worker_shutdown.connect
def _gone(**_: Any) -> None:
    while _announcements:
        _announcements.pop().close()
