"""Whether a worker takes messages: not while the database is of another version than its code."""

from typing import Any

from service.store.contract import JOBS_QUEUE
from service.store.versions import DatabaseVersion


class Intake:
    """Closes the queue of jobs to an outdated worker, so that others get the messages.

    Args:
        consumer: Celery's `Consumer` of this worker.
    """

    def __init__(self, consumer: Any, version: DatabaseVersion) -> None:
        self.consumer, self.version = consumer, version
        self._open = True

    def check(self) -> str | None:
        """Ask the database; return why this worker takes no jobs, None if it does."""
        problem = self.version.refresh()
        if self._open != (problem is None):
            self._open = problem is None
            change = self.consumer.add_task_queue if self._open else self.consumer.cancel_task_queue
            self.consumer.call_soon(change, JOBS_QUEUE)
        return problem
