"""A node that waits for a worker is found without a message."""

import threading

from service.store import jobs
from service.store.dispatch import claim_next
from service.store.places import Slot, Worker
from service.store.workers import worker_name
from tests.worker.running import CONFIG, SQLITE, wait_for
from worker.summons import Summons


@SQLITE
def test_a_worker_runs_what_waits_for_it(database, settings):
    called, go_on = threading.Event(), threading.Event()

    def run():
        called.set()
        go_on.wait()

    summons = Summons(database, run)
    summons.check()
    assert not called.is_set()
    with database.write() as session:
        jobs.create(session, "train", CONFIG, request_sha256="", slots=2, nodes=2)
        workers = [Worker(name, (Slot(name),)) for name in ("first:1", worker_name())]
        assert claim_next(session, workers, settings, "first:1:x", "10.0.0.1:29500").lease
    summons.check()
    wait_for(called.is_set)
    closing = threading.Thread(target=summons.close)
    closing.start()
    assert closing.is_alive()
    go_on.set()
    closing.join(10)
    assert not closing.is_alive()


@SQLITE
def test_a_database_that_cannot_be_asked_is_only_logged(database, caplog):
    summons = Summons(database, lambda: None)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE job_nodes")
    summons.check()
    assert "cannot see whether a node waits" in caplog.text
