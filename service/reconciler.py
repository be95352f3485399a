"""Brings back what was lost, jobs and messages, and has low priority make room for high."""

import logging
import threading
from collections.abc import Hashable, Iterable
from datetime import timedelta

from celery import Celery
from redis import Redis, RedisError
from sqlalchemy.exc import SQLAlchemyError

from service.queue import JobQueue
from service.store import attempts, jobs, queries
from service.store.base import utc_now
from service.store.broker import waiting_job_ids
from service.store.dispatch import read_state
from service.store.leases import Leases
from service.store.logs import log_context
from service.store.models import Job
from service.store.preemption import preempt
from service.store.session import Database
from service.store.settings import Settings
from service.store.versions import DatabaseVersion
from service.store.workers import announced_workers, for_jobs

log = logging.getLogger(__name__)


def reconcile(
    database: Database, celery: Celery, redis: Redis, settings: Settings, leases: Leases
) -> None:
    """Search once. Several processes may do it at the same time: a doubled message is harmless.

    Raises:
        redis.RedisError: Redis is away; lost jobs were brought back to the queue all the same.
    """
    with database.read() as session:
        running = {job.id: job for job in queries.running_jobs(session)}
    for job in map(running.__getitem__, leases.run_out(leases_of(running.values()))):
        reason = f"worker {job.lease_owner} gave no sign of life for {settings.lease_seconds:g} s"
        with database.write() as session:
            status = attempts.lose(session, job, reason, settings.max_attempts)
        if status is not None:
            with log_context(job_id=job.id, attempt=job.attempt):
                log.warning("job %s: %s; now %s", job.id, reason, status)
    now = utc_now()
    before = now - timedelta(seconds=settings.message_seconds)
    with database.read() as session:
        queued = queries.queued_jobs_without_recent_message(session, before, now)
    if queued:
        waiting = waiting_job_ids(redis)
        with database.write() as session:  # so that the next search goes on behind them
            jobs.mark_enqueued(session, [job_id for job_id in queued if job_id in waiting])
        JobQueue(database, celery).send(job_id for job_id in queued if job_id not in waiting)
    make_room(database, redis, settings)


def leases_of(running: Iterable[Job]) -> dict[str, Hashable]:
    """The lease of each running job, as `service.store.leases` looks at it."""
    return {job.id: (job.attempt, job.lease_expires_at) for job in running}


def make_room(database: Database, redis: Redis, settings: Settings) -> None:
    """Ask the workers of jobs that others should have the place of to end them.

    Raises:
        redis.RedisError: Redis is away.
    """
    workers = for_jobs(announced_workers(redis))
    with database.read() as session:
        chosen = preempt(read_state(session, workers, settings))
    for job_id in chosen:
        with database.write() as session:
            jobs.ask_to_leave(session, job_id)
        log.info("job %s is asked to make room", job_id)


class Reconciler:
    """Reconciles again and again in a thread, from `start` to `stop`; with the database of another
    version it only asks whether that is over.
    """

    def __init__(
        self,
        database: Database,
        celery: Celery,
        redis: Redis,
        settings: Settings,
        version: DatabaseVersion,
    ) -> None:
        self._parts = (database, celery, redis, settings, Leases(settings.lease_seconds))
        self._version = version
        self._pause = settings.reconcile_seconds
        self._stopped = threading.Event()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the search in progress."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._pause):
            if self._version.refresh():
                continue
            try:
                reconcile(*self._parts)
                self._trouble = ""
            except Exception as error:
                self._report(error)

    def _report(self, error: Exception) -> None:
        """Log it once, not at every try, until it is over."""
        if str(error) != self._trouble:
            expected = isinstance(error, (RedisError, SQLAlchemyError))
            log.error("cannot reconcile: %s", error, exc_info=not expected)
        self._trouble = str(error)
