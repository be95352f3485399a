"""A worker of one version over the database of another."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from sqlalchemy import text

from service.store import attempts, jobs, queries
from service.store.broker import make_celery, waiting_job_ids
from service.store.contract import CONTRACT_VERSION, RUN_JOB_TASK, worker_key
from worker.run_job import JobRunner

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CONFIG = {"encoder": {"architecture": "test_vit", "weights": "random"}}
WORKER = """
from worker import run_job
run_job.MODULES["train"] = "fake_run"
from celery.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def celery(settings):
    celery = make_celery(settings)
    yield celery
    celery.close()


def new_job(database, mode="finish"):
    with database.write() as session:
        config = CONFIG | {"mode": mode}
        return jobs.create(session, "train", config, request_sha256="0" * 64).id


def status(database, job_id):
    with database.read() as session:
        return queries.job_by_id(session, job_id).status


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


def test_an_old_worker_leaves_the_jobs_of_a_newer_database_alone(
    settings, database, celery, next_version, caplog
):
    job_id = new_job(database)
    next_version.upgrade(settings.database)
    JobRunner(database, celery, settings, threading.Event()).run(job_id)
    assert status(database, job_id) == "queued"
    assert "update this version" in caplog.text


def test_an_attempt_that_an_upgrade_breaks_is_not_the_jobs_fault(
    settings, database, celery, next_version, monkeypatch
):
    """It has no heartbeat any more, so it is lost, and goes on with a worker of the new version."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    job_id = new_job(database, mode="hang")
    stopping = threading.Event()
    runner = JobRunner(database, celery, settings, stopping, {"train": "fake_run"})
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(runner.run, job_id)
        wait_for(lambda: status(database, job_id) == "running")
        next_version.upgrade(settings.database)
        with database.write() as session:
            session.execute(text("ALTER TABLE jobs RENAME COLUMN progress TO progress_of_old"))
        wait([running], timeout=60)
        with database.write() as session:
            session.execute(text("ALTER TABLE jobs RENAME COLUMN progress_of_old TO progress"))
    assert status(database, job_id) == "running"


@SQLITE
def test_a_job_for_a_newer_worker_stays_in_the_queue(settings, database, monkeypatch):
    monkeypatch.setattr(jobs, "CONTRACT_VERSION", CONTRACT_VERSION + 1)
    job_id = new_job(database)
    monkeypatch.undo()
    with database.write() as session:
        assert attempts.claim(session, job_id, "worker-1", 60) is None
    monkeypatch.setattr(attempts, "CONTRACT_VERSION", CONTRACT_VERSION + 1)
    with database.write() as session:
        assert attempts.claim(session, job_id, "worker-1", 60)


@SQLITE
def test_a_worker_says_when_it_takes_no_jobs_of_another_version_or_while_it_is_stopped(
    settings, database, celery, redis, next_version, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{Path.cwd()}")
    job_id = new_job(database)
    worker = next_version.start(
        WORKER,
        *("-A", "worker.app", "worker", "-Q", "paka.jobs", "-P", "threads", "-c", "1"),
        *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        PAKA_HOME=str(settings.home),
        PAKA_DATABASE_URL=settings.database_url,
        PAKA_REDIS_URL=settings.redis_url,
        PAKA_STOP_SECONDS="2",
    )

    def announced():
        found = [redis.get(key) for key in redis.scan_iter(worker_key("jobs", "*"))]
        return json.loads(found[0])["problem"] if found else "nobody is there"

    try:
        wait_for(lambda: "run `paka-server migrate`" in (announced() or ""))
        celery.send_task(RUN_JOB_TASK, args=[job_id], task_id=job_id)
        time.sleep(1)
        assert status(database, job_id) == "queued"
        assert waiting_job_ids(redis) == {job_id}  # left to workers of the right version
        next_version.upgrade(settings.database)
        wait_for(lambda: status(database, job_id) == "succeeded")
        assert announced() is None
        job_id = new_job(database, mode="stubborn")
        celery.send_task(RUN_JOB_TASK, args=[job_id], task_id=job_id)
        wait_for(lambda: status(database, job_id) == "running")
        worker.terminate()
        wait_for(lambda: announced() == "it is being stopped")
    finally:
        worker.terminate()
        assert worker.wait(timeout=30) == 0
