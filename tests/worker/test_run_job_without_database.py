"""Jobs whose database is away for a while, or does not confirm what it has kept."""

import time
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError

from service.store import jobs
from service.store.session import Database
from tests.worker.running import (
    SQLITE,
    events,
    in_thread,
    job_now,
    new_job,
    processes_of,
    started,
)


class AwayDatabase(Database):
    """A database that does not answer until `away_until`, or for a while once a file is there."""

    def __init__(self, url):
        super().__init__(url)
        self.away_until, self.file, self.writes_left, self.away_seconds = 0.0, None, 0, 0.0

    def write(self):
        if self.file and self.file.exists():
            self.writes_left -= 1
            if self.writes_left < 0:
                self.file, self.away_until = None, time.monotonic() + self.away_seconds
        if time.monotonic() < self.away_until:
            raise OperationalError("UPDATE jobs", {}, Exception("connection refused"))
        return super().write()


class CrashingDatabase(Database):
    """A database that does not confirm what it has kept, from the third write on every other."""

    writes = 0

    @contextmanager
    def write(self):
        self.writes += 1
        number = self.writes
        with super().write() as session:
            yield session
        if number > 2 and number % 2:
            raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))


@SQLITE
def test_what_the_database_kept_but_did_not_confirm_is_not_told_twice(runner):
    job_id = new_job(runner, "finish")
    database = CrashingDatabase(runner.settings.database)
    runner._replace(database=database).run(job_id)
    assert [event.step for event in events(runner, job_id, "metrics")] == [1, 2, 3]
    assert [event.step for event in events(runner, job_id, "checkpoint")] == [1, 2, 3]
    database.close()


@SQLITE
@pytest.mark.parametrize(("seconds", "status"), [(0.8, "cancelled"), (5.0, "running")])
def test_a_database_that_is_away_is_borne_for_as_long_as_the_lease(runner, seconds, status):
    database = AwayDatabase(runner.settings.database)
    runner = runner._replace(database=database)
    job_id = new_job(runner, "hang")
    thread = in_thread(runner, job_id)
    started(runner, job_id)
    database.away_until = time.monotonic() + seconds
    if status == "running":
        thread.join()
        assert processes_of(runner, job_id) == []
    else:
        time.sleep(seconds + 0.1)
        with database.write() as session:
            jobs.cancel(session, job_id)
        thread.join()
    assert job_now(runner, job_id).status == status
    database.close()


@SQLITE
@pytest.mark.parametrize(
    ("writes_left", "seconds", "status"),
    [(0, 0.8, "succeeded"), (1, 0.8, "succeeded"), (1, 60.0, "running")],
    ids=["before the last metrics", "before the end", "for too long"],
)
def test_a_database_that_is_away_when_the_process_ends_is_waited_for(
    runner, writes_left, seconds, status
):
    database = AwayDatabase(runner.settings.database)
    job_id = new_job(runner, "finish")
    database.file = runner.settings.job_folder(job_id) / "outcome.json"
    database.writes_left, database.away_seconds = writes_left, seconds
    runner._replace(database=database).run(job_id)
    assert database.file is None
    assert job_now(runner, job_id).status == status
    assert [event.step for event in events(runner, job_id, "metrics")] == [1, 2, 3]
    database.close()
