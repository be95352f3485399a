"""Backup and restore with a worker at work on a job that writes and prunes checkpoints."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from paka.checkpoint import verify
from paka.run_folder import RunFolder, list_checkpoints
from service.backup.create import backup
from service.backup.restore import restore
from service.store import jobs, queries
from service.store.broker import make_celery
from service.store.models import Job
from service.store.session import Database
from service.store.status import JobStatus
from worker.run_job import JobRunner

CONFIG = {"encoder": {"architecture": "test_vit", "weights": "random"}, "mode": "prune"}


@pytest.fixture
def run(monkeypatch):
    """Lets a worker run a job in a thread; all end with the test."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    stopping, threads, celeries = threading.Event(), [], []

    def start(settings, database, job_id):
        celeries.append(make_celery(settings))
        runner = JobRunner(database, celeries[-1], settings, stopping, {"train": "fake_run"})
        threads.append(threading.Thread(target=runner.run, args=(job_id,)))
        threads[-1].start()
        return threads[-1]

    yield start
    stopping.set()
    for thread in threads:
        thread.join()
    for celery in celeries:
        celery.close()


@pytest.fixture
def elsewhere(settings, tmp_path, sqlite_template):
    """Another home, with a database of its own."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    shutil.copyfile(sqlite_template, home / "paka.db")
    other = settings.model_copy(update={"home": home, "database_url": f"sqlite:///{home}/paka.db"})
    database = Database(other.database)
    yield other, database
    database.close()


def new_job(database):
    with database.write() as session:
        return jobs.create(session, "train", CONFIG, request_sha256="0" * 64).id


def job_now(database, job_id):
    with database.read() as session:
        return session.get_one(Job, job_id)


def step(database, job_id):
    return (job_now(database, job_id).progress or {}).get("step", 0)


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


def test_a_backup_of_a_service_at_work_is_whole_and_its_job_goes_on(
    settings, database, run, elsewhere, tmp_path
):
    job_id = new_job(database)
    run(settings, database, job_id)
    other, restored = elsewhere
    wait_for(lambda: step(database, job_id) >= 5)
    backup(settings, tmp_path / "backup.tar")
    assert job_now(database, job_id).status == JobStatus.RUNNING
    assert restore(other, tmp_path / "backup.tar").requeued == [job_id]
    with restored.read() as session:
        events = queries.events_after(session, job_id, 0, 10_000)
        checkpoints = queries.checkpoints_of(session, job_id)
    ids = [event.id for event in events]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    saved = list_checkpoints(RunFolder(other.job_folder(job_id)).checkpoints)
    steps = [verify(folder)["step"] for folder in saved]
    assert steps
    assert {checkpoint.step for checkpoint in checkpoints} <= set(steps)
    run(other, restored, job_id)

    def done():
        with restored.read() as session:
            return [e.step for e in queries.events_after(session, job_id, ids[-1]) if e.step]

    wait_for(lambda: steps[-1] + 1 in done())
    assert 1 not in done()


def test_a_restore_in_place_fences_the_worker_off(settings, database, run, tmp_path):
    job_id = new_job(database)
    worker = run(settings, database, job_id)
    wait_for(lambda: step(database, job_id) >= 3)
    backup(settings, tmp_path / "backup.tar")
    later = new_job(database)
    saved = step(database, job_id)
    wait_for(lambda: step(database, job_id) > saved)
    assert restore(settings, tmp_path / "backup.tar", replace=True).requeued == [job_id]
    worker.join(timeout=30)
    assert not worker.is_alive()
    with database.read() as session:
        last = queries.events_after(session, job_id, 0, 10_000)[-1]
        assert queries.job_by_id(session, later) is None
    assert (last.message, last.data["cause"]) == ("queued", "lost")
    assert job_now(database, job_id).attempt == 1
    run(settings, database, job_id)
    wait_for(lambda: job_now(database, job_id).attempt == 2)
