"""When a worker closes the queue; a consumer that notes what it was told is in Celery's place."""

import pytest

from service.store.contract import JOBS_QUEUE
from service.store.versions import DatabaseVersion
from worker.intake import Intake


class Consumer:
    def __init__(self):
        self.told = []

    def add_task_queue(self, queue):
        self.told.append(("add", queue))

    def cancel_task_queue(self, queue):
        self.told.append(("cancel", queue))

    def call_soon(self, action, *arguments):
        action(*arguments)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_closes_the_queue_until_there_is_room(database, settings):
    consumer = Consumer()
    full = settings.model_copy(update={"min_free_bytes": 2**62})
    intake = Intake(consumer, DatabaseVersion(database), full)
    assert "PAKA_MIN_FREE_BYTES" in intake.check()
    assert intake.check()
    assert consumer.told == [("cancel", JOBS_QUEUE)]
    intake.settings = settings
    assert intake.check() is None
    assert consumer.told == [("cancel", JOBS_QUEUE), ("add", JOBS_QUEUE)]
