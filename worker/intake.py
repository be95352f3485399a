"""Whether a worker takes messages: not while the database is of another version than its code, nor
while the disk is full.
"""

from typing import Any

from service.store.contract import JOBS_QUEUE
from service.store.settings import Settings
from service.store.versions import DatabaseVersion
from worker.disk import disk_problem


class Intake:
    """Closes the queue of jobs to a worker that cannot run them, so that others get the messages.

    Args:
        consumer: Celery's `Consumer` of this worker.
    """

    def __init__(self, consumer: Any, version: DatabaseVersion, settings: Settings) -> None:
        self.consumer, self.version, self.settings = consumer, version, settings
        self._open = True

    def check(self) -> str | None:
        """Ask the database and the disk; return why this worker takes no jobs, None if it does."""
        problem = self.version.refresh() or disk_problem(self.settings)
        if self._open != (problem is None):
            self._open = problem is None
            change = self.consumer.add_task_queue if self._open else self.consumer.cancel_task_queue
            self.consumer.call_soon(change, JOBS_QUEUE)
        return problem
