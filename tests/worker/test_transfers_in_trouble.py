"""Jobs whose files go through a bucket that is away or full, or beside a database that is away."""

import hashlib
import threading
import time
from contextlib import nullcontext

import pytest
from sqlalchemy.exc import OperationalError

from service.store import attempts, jobs, queries
from service.store.attempts import LeaseLost
from service.store.bucket import bucket_of
from service.store.session import Database
from service.store.status import JobStatus
from tests.worker.hosts import expected, names, new_job, read, reason, run_a_little, step
from tests.worker.running import (
    SQLITE,
    in_thread,
    job_now,
    started,
    statuses,
    wait_for,
)
from worker.transfers import Transfers

pytestmark = SQLITE


def begun(workers):
    """A worker, its job in the middle of its steps, and the thread that runs it."""
    a = workers("a")
    job_id = new_job(a, steps=12, pause=0.1)
    thread = in_thread(a, job_id)
    started(a, job_id)
    return a, job_id, thread


def test_a_bucket_that_is_away_while_a_job_runs_does_not_disturb_it(workers, away):
    a, job_id, thread = begun(workers)
    come_back = away()
    before = step(a, job_id)
    wait_for(lambda: step(a, job_id) > before + 4)
    come_back()
    thread.join()
    assert statuses(a, job_id) == ["queued", "running", "succeeded"]
    assert read(a, job_id, "final/encoder.safetensors") == expected(12)


def test_a_job_waits_for_a_bucket_that_is_away_at_its_end(workers, away):
    a, job_id, thread = begun(workers)
    come_back = away()
    outcome = a.settings.job_folder(job_id) / "outcome.json"
    wait_for(outcome.exists)
    time.sleep(1.5 * a.settings.lease_seconds)
    assert job_now(a, job_id).status == JobStatus.RUNNING
    come_back()
    thread.join()
    assert statuses(a, job_id) == ["queued", "running", "succeeded"]


class UnreadableDatabase(Database):
    """A database that does not answer until `away_until`."""

    away_until = 0.0

    def read(self):
        if time.monotonic() < self.away_until:
            raise OperationalError("SELECT jobs.id", {}, Exception("connection refused"))
        return super().read()


@pytest.mark.parametrize(("seconds", "arrives"), [(0.3, True), (60.0, False)])
def test_the_last_uploads_bear_a_database_that_is_away_for_less_than_a_lease(
    workers, seconds, arrives
):
    a = workers("a")
    job_id = new_job(a)
    with a.database.write() as session:
        lease = attempts.claim(session, job_id, "me", 60)
    database = UnreadableDatabase(a.settings.database)
    transfers = Transfers(database, a.settings, lease, threading.Event())
    transfers.prepare({})
    with transfers.while_running():
        pass
    (transfers.folder / "train.log").write_text("line")
    database.away_until = time.monotonic() + seconds
    with nullcontext() if arrives else pytest.raises(LeaseLost):
        assert transfers.finish() is None
    assert ("train.log" in names(a, job_id)) == arrives
    database.close()


def test_a_job_whose_result_cannot_be_brought_is_queued_again_and_keeps_its_work(workers, away):
    a = workers("a")
    a = a._replace(settings=a.settings.model_copy(update={"artifacts_retry_seconds": 0}))
    job_id = new_job(a, steps=12, pause=0.1)
    thread = in_thread(a, job_id)
    started(a, job_id)
    come_back = away()
    thread.join()
    job = job_now(a, job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 1)
    assert "what the job made is on its worker only: cannot " in reason(a, job_id)
    a.run()  # takes none while the bucket is away
    assert job_now(a, job_id).attempt == 1
    come_back()
    a.run()
    assert job_now(a, job_id).status == JobStatus.SUCCEEDED
    assert read(a, job_id, "final/encoder.safetensors") == expected(12)
    assert read(a, job_id, "train.log").count(b"step 12") == 1


def test_no_job_begins_that_the_bucket_has_no_room_for(workers, s3, bucket_url, caplog):
    a = workers("a")
    bucket_of(a.settings).check_room()
    s3.refuse_objects(bucket_url)
    job_id = new_job(a)
    a.run(job_id)
    assert statuses(a, job_id) == ["queued"]
    assert "jobs wait until the object storage can be used: cannot write" in caplog.text


def test_a_job_that_cannot_be_fetched_is_queued_again(workers, away, monkeypatch):
    a = workers("a")
    a = a._replace(settings=a.settings.model_copy(update={"artifacts_retry_seconds": 0}))
    monkeypatch.setattr("worker.run_job.storage_problem", lambda settings: None)
    job_id = new_job(a)
    away()
    a.run(job_id)
    assert job_now(a, job_id).lost_attempts >= 1
    assert "Could not connect to the endpoint" in reason(a, job_id)
    assert "AWS_ENDPOINT_URL" in reason(a, job_id)


@pytest.mark.parametrize("why", ["stopping", "preempted"])
def test_who_is_told_to_leave_while_it_waits_for_the_bucket_loses_no_attempt(
    workers, away, monkeypatch, why
):
    a = workers("a")
    monkeypatch.setattr("worker.run_job.storage_problem", lambda settings: None)
    job_id = new_job(a)
    away()
    thread = in_thread(a, job_id)
    wait_for(lambda: job_now(a, job_id).attempt == 1)
    if why == "preempted":
        with a.database.write() as session:
            jobs.ask_to_leave(session, job_id)
    else:
        a.stopping.set()
    thread.join()
    job = job_now(a, job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 0)
    assert "Could not connect to the endpoint" in reason(a, job_id)


def test_a_job_whose_files_find_no_room_is_queued_again(workers, mount_tmpfs, tmp_path):
    b = workers("b")
    weights = b.settings.artifacts_folder / "jobs/job_1/final/encoder.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(2**20))
    bucket_of(b.settings).push(weights)
    mount_tmpfs(tmp_path / "a", "size=512k")
    a = workers("a")
    a = a._replace(settings=a.settings.model_copy(update={"min_free_bytes": 0}))
    sha256 = hashlib.sha256(bytes(2**20)).hexdigest()
    job_id = new_job(a, weights=f"artifact:jobs/job_1/final/encoder.safetensors#{sha256}")
    a.run(job_id)
    job = job_now(a, job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 1)
    assert "No space left on device" in reason(a, job_id)
    b.run(job_id)
    assert job_now(b, job_id).status == JobStatus.SUCCEEDED


def test_what_is_here_is_kept_while_weights_cannot_be_fetched(workers, away, monkeypatch):
    a = workers("a")
    made = new_job(a)
    a.run(made)
    with a.database.read() as session:
        encoder = queries.encoder_of_job(session, made)
    job_id = new_job(a, steps=12, pause=0.1, weights=f"artifact:{encoder.path}#{encoder.sha256}")
    run_a_little(a, job_id)
    newest = a.settings.job_folder(job_id) / "newer than the bucket"
    newest.write_text("x")
    come_back = away()
    a.stopping.clear()
    monkeypatch.setattr("worker.run_job.storage_problem", lambda settings: None)
    thread = in_thread(a, job_id)
    wait_for(lambda: job_now(a, job_id).attempt == 2)
    come_back()
    thread.join()
    assert "newer than the bucket" in names(a, job_id)
    assert read(a, job_id, "final/encoder.safetensors") == expected(12, expected(3))
