"""A runner of jobs, whose processes are those of `fake_run`."""

import threading
from pathlib import Path

import pytest

from service.store.broker import make_celery
from worker.run_job import JobRunner


@pytest.fixture
def fake_processes(monkeypatch):
    """Lets processes find the module `fake_run`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.fixture
def runner(settings, database, fake_processes):
    """Runs jobs as a worker does, with `fake_run` for their processes."""
    modules = {"train": "fake_run", "embed": "fake_run"}
    celery = make_celery(settings)
    yield JobRunner(database, celery, settings, threading.Event(), modules)
    celery.close()


@pytest.fixture
def workers(host, database, fake_processes):
    """Makes the worker of a host by its name; all are stopped in the end."""
    made, celery = {}, None

    def make(name):
        nonlocal celery
        settings = host(name)
        celery = celery or make_celery(settings)
        made[name] = JobRunner(database, celery, settings, threading.Event(), {"train": "fake_run"})
        return made[name]

    yield make
    for runner in made.values():
        runner.stopping.set()
    celery.close()
