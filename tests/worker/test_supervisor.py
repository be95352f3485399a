"""Heartbeats by a clock of their own; all else of the supervisor is in test_run_job."""

import threading
from itertools import pairwise

import pytest

from paka.run_folder import RunFolder
from service.store.attempts import Lease
from worker.supervisor import Supervisor


class Clock:
    """Goes on only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Process:
    """Runs for ten seconds by its clock."""

    def __init__(self, clock):
        self.clock = clock

    @property
    def exit_code(self):
        return None if self.clock.now < 10 else 0

    def reassure(self):
        pass

    def kill(self):
        pass


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("lease_seconds", "pause"), [(1.0, 0.5), (30.0, 1.25)])
def test_a_short_lease_is_renewed_more_often(
    tmp_path, database, settings, monkeypatch, lease_seconds, pause
):
    clock, beats = Clock(), []
    monkeypatch.setattr("worker.supervisor.time", clock)
    monkeypatch.setattr("worker.supervisor.attempts.record", lambda *_: beats.append(clock.now))
    supervisor = Supervisor(
        Process(clock),
        RunFolder(tmp_path),
        Lease("job_x", 1, "worker"),
        database,
        settings.model_copy(update={"lease_seconds": lease_seconds}),
        threading.Event(),
        set(),
    )
    assert supervisor.watch() == "exited"
    times = [0.0, *beats]
    assert max(b - a for a, b in pairwise(times)) <= pause
