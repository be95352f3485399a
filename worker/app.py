"""The Celery application of the workers: `celery -A worker.app worker -Q paka.jobs …`.

Jobs:       -Q paka.jobs -P threads         each job is a process of its own; one thread a slot
Embedding:  -Q paka.embed -P solo           encoders live in the worker's own memory
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from celery.signals import (
    celeryd_init,
    setup_logging,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from redis import Redis

from paka.process import quick_imports
from service.store.broker import make_celery, make_redis
from service.store.bucket import bucket_of
from service.store.contract import EMBED_QUEUE, EMBED_TASK, RUN_JOB_TASK
from service.store.logs import configure_logs
from service.store.session import Database
from service.store.settings import get_settings
from service.store.tracing import start_tracing, stop_tracing
from service.store.versions import DatabaseVersion
from service.store.workers import worker_name
from worker.announce import Announcement
from worker.cache import weights_here
from worker.cluster import all_workers, embed_resources, job_resources
from worker.gpus import describe_device, find_gpus
from worker.intake import Intake
from worker.run_job import JobRunner
from worker.slots import embed_reserve
from worker.summons import Summons

if TYPE_CHECKING:
    from worker.embed import Embedder

app = make_celery(get_settings())
stopping = threading.Event()
_closing = ExitStack()


@cache
def _redis() -> Redis:
    return make_redis(get_settings())


@cache
def _runner() -> JobRunner:
    settings = get_settings()
    workers = partial(all_workers, _redis())
    return JobRunner(Database(settings.database), app, settings, stopping, workers=workers)


@cache
def _embedder() -> "Embedder":
    with quick_imports():
        from worker.embed import Embedder
        from worker.encoders import WarmEncoders, limit_memory

    settings = get_settings()
    if gpus := find_gpus():
        limit_memory(embed_reserve(gpus[0], settings))
    find: Callable[[str], str] = str
    if bucket := bucket_of(settings):
        find = partial(weights_here, Database(settings.database), bucket)
    return Embedder(_redis(), WarmEncoders(settings.embed_models, find), stopping)


@app.task(name=RUN_JOB_TASK)
def run_job(job_id: str) -> None:
    """Run the jobs whose turn it is; the message's own may be among them."""
    _runner().run(job_id)


@app.task(name=EMBED_TASK)
def embed_pending() -> None:
    """Answer all embedding requests that wait."""
    _embedder().drain()


@celeryd_init.connect
def _size(conf: Any, **_: Any) -> None:
    """A thread for each slot: more messages are fetched only once a job could be started."""
    conf.worker_concurrency = len(find_gpus()) or get_settings().cpu_slots


@setup_logging.connect
def _logs(loglevel: int | str | None = None, **_: Any) -> None:
    configure_logs(loglevel or "INFO", get_settings().log_format, worker=worker_name())


@worker_ready.connect
def _ready(sender: Any, **_: Any) -> None:
    """Announce the worker; one for embedding loads torch first, not within the first request."""
    redis, device = _redis(), describe_device(find_gpus())
    embeds = EMBED_QUEUE in sender.app.amqp.queues.consume_from
    start_tracing(get_settings(), "worker-embed" if embeds else "worker-jobs")
    if embeds:
        resources = partial(embed_resources, _embedder().done)
        announced = Announcement(redis, "embed", device, resources=resources)
    else:
        version = DatabaseVersion(_runner().database)
        intake = Intake(sender, version, get_settings())
        summons = Summons(_runner().database, _runner().run)
        resources = partial(job_resources, redis, get_settings())

        def problem() -> str | None:
            """Look at the same time whether somebody waits for this worker."""
            if stopping.is_set():
                summons.check()
                return "it is being stopped"
            found = intake.check()
            if found is None:
                summons.check()
            return found

        announced = Announcement(redis, "jobs", device, problem, resources)
        _closing.callback(summons.close)
    worker_shutting_down.connect(lambda **_: announced.renew(), weak=False)
    _closing.callback(announced.close)


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    """Celery waits for running tasks; tell them not to take their time."""
    stopping.set()


@worker_shutdown.connect
def _gone(**_: Any) -> None:
    _closing.close()
    stop_tracing()
