"""Jobs whose files go through a bucket, on hosts that have a database and no disk in common."""

import hashlib
import threading
import time
from contextlib import nullcontext

import pytest
from sqlalchemy.exc import OperationalError

from paka.files import read_json
from service.store import attempts, jobs, queries
from service.store.attempts import LeaseLost
from service.store.broker import make_celery
from service.store.bucket import MARK, bucket_of
from service.store.models import Job
from service.store.places import Slot, Worker
from service.store.session import Database
from service.store.status import JobStatus
from tests.worker.running import (
    SQLITE,
    events,
    in_thread,
    job_now,
    started,
    statuses,
    wait_for,
)
from worker.run_job import JobRunner
from worker.transfers import Transfers
from worker.uploads import lacks

pytestmark = SQLITE


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


def new_job(runner, steps=3, pause=0.0, weights="random", mode="chain"):
    encoder = {"architecture": "test_vit", "weights": weights}
    config = {"encoder": encoder, "mode": mode, "steps": steps, "pause": pause}
    with runner.database.write() as session:
        return jobs.create(session, "train", config, request_sha256="0" * 64).id


def run_a_little(runner, job_id):
    runner.stopping.clear()
    before = step(runner, job_id)
    thread = in_thread(runner, job_id)
    wait_for(lambda: step(runner, job_id) > before + 1)
    runner.stopping.set()
    thread.join()


def step(runner, job_id):
    return (job_now(runner, job_id).progress or {}).get("step", 0)


def expected(steps, state=b"start"):
    for at in range(1, steps + 1):
        state = hashlib.sha256(state + b"%d" % at).digest()
    return state


def names(runner, job_id):
    folder = runner.settings.job_folder(job_id)
    return {str(path.relative_to(folder)) for path in bucket_of(runner.settings).objects(folder)}


def complete(runner, job_id):
    return {name for name in names(runner, job_id) if name.endswith("/meta.json")}


def read(runner, job_id, name):
    bucket = bucket_of(runner.settings)
    return bucket.read(runner.settings.job_folder(job_id) / name)


def reason(runner, job_id):
    return events(runner, job_id, "status")[-1].data["reason"]


def test_all_that_a_job_made_is_in_the_bucket_when_it_has_succeeded(workers):
    a = workers("a")
    job_id = new_job(a)
    a.run(job_id)
    assert statuses(a, job_id) == ["queued", "running", "succeeded"]
    folders = [f"checkpoints/step-{at:08d}" for at in (2, 3)] + ["final"]
    files = {
        f"{folder}/{name}" for folder in folders for name in ("encoder.safetensors", "meta.json")
    }
    assert names(a, job_id) == files | {"config.json", "metrics.jsonl", "train.log", "outcome.json"}
    assert read(a, job_id, "final/encoder.safetensors") == expected(3)
    assert read(a, job_id, "train.log") == b"step 1\nstep 2\nstep 3\n"
    assert list((a.settings.artifacts_folder / "jobs").iterdir()) == []  # and nowhere else


def test_another_host_goes_on_and_the_first_again_and_they_come_to_the_same(workers):
    a, b = workers("a"), workers("b")
    job_id = new_job(a, steps=20, pause=0.1)
    run_a_little(a, job_id)
    assert job_now(a, job_id).status == JobStatus.QUEUED
    run_a_little(b, job_id)
    assert read_json(a.settings.job_folder(job_id) / MARK) == 1  # what a has is stale by now
    a.stopping.clear()
    a.run(job_id)
    ran = ["queued", "running"]
    assert statuses(a, job_id) == [*ran, *ran, *ran, "succeeded"]
    assert read(a, job_id, "final/encoder.safetensors") == expected(20)
    log = "".join(f"step {at}\n" for at in range(1, 21))
    assert read(a, job_id, "train.log").decode() == log
    assert [event.step for event in events(a, job_id, "metrics")] == list(range(1, 21))
    with a.database.read() as session:
        assert [row.step for row in queries.checkpoints_of(session, job_id)] == [19, 20]
    assert {name for name in names(a, job_id) if "checkpoints" in name} == {
        f"checkpoints/step-{at:08d}/{name}"
        for at in (19, 20)
        for name in ("encoder.safetensors", "meta.json")
    }


def test_checkpoints_and_log_are_there_while_it_runs(workers):
    a = workers("a")
    job_id = new_job(a, steps=1000, pause=0.2)
    thread = in_thread(a, job_id)
    wait_for(lambda: complete(a, job_id))
    found = complete(a, job_id)
    wait_for(lambda: "train.log" in names(a, job_id))
    wait_for(lambda: b"step 3" in read(a, job_id, "train.log"))
    wait_for(lambda: not found & complete(a, job_id))  # pruned
    a.stopping.set()
    thread.join()


def test_a_bucket_that_is_away_while_a_job_runs_does_not_disturb_it(workers, away):
    a = workers("a")
    job_id = new_job(a, steps=12, pause=0.1)
    thread = in_thread(a, job_id)
    started(a, job_id)
    come_back = away()
    before = step(a, job_id)
    wait_for(lambda: step(a, job_id) > before + 4)
    come_back()
    thread.join()
    assert statuses(a, job_id) == ["queued", "running", "succeeded"]
    assert read(a, job_id, "final/encoder.safetensors") == expected(12)


def test_a_job_waits_for_a_bucket_that_is_away_at_its_end(workers, away):
    a = workers("a")
    job_id = new_job(a, steps=12, pause=0.1)
    thread = in_thread(a, job_id)
    started(a, job_id)
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


def test_a_job_starts_from_what_another_host_has_made(workers):
    a, b = workers("a"), workers("b")
    first = new_job(a)
    a.run(first)
    with a.database.read() as session:
        encoder = queries.encoder_of_job(session, first)
    second = new_job(a, weights=f"artifact:{encoder.path}#{encoder.sha256}")
    b.run(second)
    assert read(b, second, "final/encoder.safetensors") == expected(3, expected(3))
    third = new_job(b, weights=str(b.settings.artifacts_folder / encoder.path))
    b.run(third)
    assert read(b, third, "final/encoder.safetensors") == expected(3, expected(3))


def test_a_job_whose_weights_are_gone_fails_with_the_reason(workers):
    a = workers("a")
    job_id = new_job(
        a, weights=f"artifact:jobs/job_{'0' * 26}/final/encoder.safetensors#{'0' * 64}"
    )
    a.run(job_id)
    job = job_now(a, job_id)
    assert (job.status, job.error["code"]) == (JobStatus.FAILED, "encoder_unavailable")
    assert "there are no weights artifact:jobs/job_0000" in job.error["message"]


def test_a_worker_without_the_bucket_says_what_it_lacks(workers):
    a = workers("a")
    a = a._replace(settings=a.settings.model_copy(update={"artifacts_url": None}))
    job_id = new_job(a, weights="artifact:jobs/job_1/final/encoder.safetensors#0")
    a.run(job_id)
    assert "set PAKA_ARTIFACTS_URL for this worker too" in job_now(a, job_id).error["message"]


def test_a_worker_that_was_killed_leaves_what_another_goes_on_from(workers):
    """Without a word at the end: what was brought while it ran is what there is."""
    a, b = workers("a"), workers("b")
    job_id = new_job(a, steps=8, pause=0.15)
    thread = in_thread(a, job_id)
    wait_for(lambda: complete(a, job_id))
    with a.database.write() as session:  # what the reconciler does
        attempts.lose(session, session.get_one(Job, job_id), "no sign of life", 3)
    b.run(job_id)
    thread.join()
    assert read(b, job_id, "final/encoder.safetensors") == expected(8)
    assert lacks(bucket_of(a.settings), a.settings.job_folder(job_id))  # and a has written nothing


def test_the_job_s_process_does_not_see_the_credentials(workers):
    a = workers("a")
    job_id = new_job(a, mode="credentials")
    a.run(job_id)
    assert read(a, job_id, "train.log") == b"[]\n"


@pytest.mark.parametrize("hosts", ["ab", "aa"])
def test_of_several_nodes_the_first_brings_the_result_and_another_its_log(workers, hosts):
    members = [Worker(f"{number}:1", (Slot(f"{number}-0"),)) for number in (1, 2)]
    first, second = map(workers, hosts)
    first = first._replace(workers=lambda _: members, name=lambda: "1:1")
    second = second._replace(workers=lambda _: members[::-1], name=lambda: "2:1")
    encoder = {"architecture": "test_vit", "weights": "random"}
    runtime = {"processes": 2, "nodes": 2}
    config = {"encoder": encoder, "mode": "chain", "steps": 8, "pause": 0.1, "runtime": runtime}
    with first.database.write() as session:
        job_id = jobs.create(session, "train", config, request_sha256="", slots=2, nodes=2).id
    threads = [in_thread(first, job_id)]
    wait_for(lambda: job_now(first, job_id).attempt == 1)
    threads.append(in_thread(second, job_id))
    for thread in threads:
        thread.join()
    assert statuses(first, job_id) == ["queued", "running", "succeeded"]
    found = names(first, job_id)
    assert {name for name in found if name.startswith("nodes/")} == {"nodes/1.1/train.log"}
    assert read(first, job_id, "nodes/1.1/train.log").startswith(b"step 1\n")
    assert "final/meta.json" in found
    assert not list(second.settings.job_folder(job_id).glob("nodes/*"))
