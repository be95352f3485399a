"""Sending jobs' messages."""

import logging
from collections.abc import Iterable

from celery import Celery
from kombu.exceptions import OperationalError

from service.store import jobs
from service.store.contract import RUN_JOB_TASK
from service.store.session import Database
from service.store.tracing import span

log = logging.getLogger(__name__)


class JobQueue:
    """Where the workers find the jobs that wait for them."""

    def __init__(self, database: Database, celery: Celery) -> None:
        self.database, self.celery = database, celery

    def send(self, job_ids: Iterable[str]) -> None:
        """Send the messages of jobs that are committed already.

        A broker that is away is no error here: the jobs stay queued, and the reconciler sends
        later.
        """
        sent: list[str] = []
        for job_id in job_ids:
            try:
                with span("enqueue job", {"paka.job_id": job_id}, kind="producer"):
                    self.celery.send_task(RUN_JOB_TASK, args=[job_id], task_id=job_id)
            except OperationalError as error:
                log.warning("job %s is queued without a message: %s", job_id, error)
                break
            sent.append(job_id)
        if sent:
            with self.database.write() as session:
                jobs.mark_enqueued(session, sent)
