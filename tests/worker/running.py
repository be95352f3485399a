"""Jobs that a worker runs with processes of `fake_run`."""

import threading
import time

import psutil
import pytest

from service.store import jobs, queries
from service.store.models import Job

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CONFIG = {"encoder": {"architecture": "test_vit", "weights": "random"}}


def new_job(runner, mode, kind="train"):
    with runner.database.write() as session:
        config = {**CONFIG, "mode": mode}
        return jobs.create(session, kind, config, request_sha256="0" * 64, name="mine").id


def job_now(runner, job_id):
    with runner.database.read() as session:
        return session.get_one(Job, job_id)


def events(runner, job_id, kind):
    with runner.database.read() as session:
        return [e for e in queries.events_after(session, job_id, 0) if e.type == kind]


def statuses(runner, job_id):
    return [event.message for event in events(runner, job_id, "status")]


def in_thread(runner, job_id):
    thread = threading.Thread(target=runner.run, args=(job_id,))
    thread.start()
    return thread


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def started(runner, job_id):
    wait_for(lambda: (job_now(runner, job_id).progress or {}).get("step", 0) >= 3)


def processes_of(runner, job_id):
    folder = str(runner.settings.job_folder(job_id))
    return [p for p in psutil.process_iter(["cmdline"]) if folder in (p.info["cmdline"] or [])]
