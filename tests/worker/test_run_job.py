"""One delivery of a job's message, with a real process, database and broker."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from paka.data.links import Reach
from paka.files import read_json
from paka.run_folder import list_checkpoints, step_folder
from service.store import attempts, jobs, queries
from service.store.broker import waiting_job_ids
from service.store.models import Job
from service.store.status import JobStatus
from tests.worker.running import (
    SQLITE,
    events,
    in_thread,
    job_now,
    new_job,
    processes_of,
    started,
    statuses,
    wait_for,
)


def test_a_job_runs_to_its_end(runner):
    job_id = new_job(runner, "finish")
    runner.run(job_id)
    assert statuses(runner, job_id) == ["queued", "running", "succeeded"]
    assert [event.step for event in events(runner, job_id, "metrics")] == [1, 2, 3]
    assert [event.step for event in events(runner, job_id, "checkpoint")] == [1, 2, 3]
    job = job_now(runner, job_id)
    assert job.progress["step"] == 3
    assert job.lease_owner is None
    with runner.database.read() as session:
        encoder = queries.encoder_of_job(session, job_id)
        assert len(queries.checkpoints_of(session, job_id)) == 3
    assert encoder.path == f"jobs/{job_id}/final/encoder.safetensors"
    assert (encoder.name, encoder.base, encoder.steps) == ("mine", "test_vit@random", 3)
    assert (runner.settings.artifacts_folder / encoder.path).read_bytes() == b"weights"
    assert read_json(runner.settings.job_folder(job_id) / "config.json")["mode"] == "finish"


@SQLITE
def test_skipped_images_and_warnings_are_told_once_over_all_attempts(runner):
    job_id = new_job(runner, "skips")
    runner.run(job_id)
    runner.run(job_id)
    job = job_now(runner, job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    assert job.skipped["count"] == 120
    assert [one["image"] for one in job.skipped["images"]] == [f"{n}.jpg" for n in range(100)]
    told = [event for event in events(runner, job_id, "message") if event.level == "warning"]
    skipped = [event.message for event in told if event.message.startswith("skipped")]
    assert skipped == [f"skipped {number}.jpg: is broken" for number in range(100)]
    assert {event.message for event in told} - set(skipped) == {"the disk is full"}


@SQLITE
def test_an_embedding_job_makes_no_encoder(runner):
    job_id = new_job(runner, "finish", kind="embed")
    runner.run(job_id)
    assert job_now(runner, job_id).status == JobStatus.SUCCEEDED
    with runner.database.read() as session:
        assert queries.encoder_of_job(session, job_id) is None


@SQLITE
def test_a_doubled_message_runs_the_job_once(runner):
    job_id = new_job(runner, "finish")
    threads = [in_thread(runner, job_id) for _ in range(3)]
    for thread in threads:
        thread.join()
    runner.run(job_id)
    assert statuses(runner, job_id) == ["queued", "running", "succeeded"]


def test_a_running_job_is_cancelled_within_five_seconds(runner):
    job_id = new_job(runner, "hang")
    thread = in_thread(runner, job_id)
    started(runner, job_id)
    asked = time.monotonic()
    with runner.database.write() as session:
        jobs.cancel(session, job_id)
    thread.join()
    assert time.monotonic() - asked < 5
    assert statuses(runner, job_id) == ["queued", "running", "cancelled"]
    assert events(runner, job_id, "checkpoint")
    assert processes_of(runner, job_id) == []


@SQLITE
def test_a_failing_process_gives_its_reason(runner):
    job_id = new_job(runner, "failed")
    runner.run(job_id)
    job = job_now(runner, job_id)
    assert job.status == JobStatus.FAILED
    assert job.error == {"code": "job_failed", "message": "the loss is nan"}


@SQLITE
def test_what_was_trained_is_offered_though_the_evaluation_after_it_failed(runner):
    job_id = new_job(runner, "evaluation failed")
    runner.run(job_id)
    assert job_now(runner, job_id).error == {"code": "job_failed", "message": "no masks"}
    with runner.database.read() as session:
        assert queries.encoder_of_job(session, job_id).steps == 3


def test_a_killed_process_is_tried_again_and_fails_at_the_limit(runner, redis):
    job_id = new_job(runner, "killed")
    for attempt in (1, 2):
        runner.run(job_id)
        job = job_now(runner, job_id)
        assert (job.status, job.attempt) == (JobStatus.QUEUED, attempt)
        assert waiting_job_ids(redis) == {job_id}
        assert job.enqueued_at is not None
    runner.run(job_id)
    job = job_now(runner, job_id)
    assert job.status == JobStatus.FAILED
    assert job.error["code"] == "attempts_exhausted"
    assert "SIGKILL" in job.error["message"]


@SQLITE
def test_what_a_run_says_after_one_of_its_ranks_was_killed_is_not_believed(runner):
    job_id = new_job(runner, "a rank was killed")
    runner.run(job_id)
    job = job_now(runner, job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 1)
    assert "SIGKILL" in events(runner, job_id, "status")[-1].data["reason"]


@SQLITE
def test_a_checkpoint_that_goes_while_it_is_looked_at_is_none(runner, monkeypatch):
    def with_one_that_has_gone(checkpoints):
        return [*list_checkpoints(checkpoints), step_folder(checkpoints, 99)]

    monkeypatch.setattr("worker.supervisor.list_checkpoints", with_one_that_has_gone)
    job_id = new_job(runner, "finish")
    runner.run(job_id)
    assert job_now(runner, job_id).status == JobStatus.SUCCEEDED
    assert [event.step for event in events(runner, job_id, "checkpoint")] == [1, 2, 3]


def test_a_job_that_goes_on_sends_its_old_metrics_no_second_time(runner):
    job_id = new_job(runner, "told to stop")
    runner.run(job_id)
    assert [event.step for event in events(runner, job_id, "metrics")] == [1, 2]
    checkpoints = runner.settings.job_folder(job_id) / "checkpoints"
    shutil.rmtree(step_folder(checkpoints, 2))  # so that this step is done again
    runner.run(job_id)
    runner.run(job_id)
    assert job_now(runner, job_id).status == JobStatus.SUCCEEDED
    assert [event.step for event in events(runner, job_id, "metrics")] == [1, 2, 2, 3]


@SQLITE
def test_a_leaving_worker_gives_the_job_back(runner, redis):
    job_id = new_job(runner, "hang")
    thread = in_thread(runner, job_id)
    started(runner, job_id)
    runner.stopping.set()
    thread.join()
    job = job_now(runner, job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 0)
    assert waiting_job_ids(redis) == {job_id}
    assert processes_of(runner, job_id) == []
    runner.stopping.clear()
    thread = in_thread(runner, job_id)
    wait_for(lambda: job_now(runner, job_id).attempt == 2)
    runner.stopping.set()
    thread.join()


@SQLITE
def test_a_process_that_was_told_to_stop_by_others_goes_on_later(runner):
    job_id = new_job(runner, "told to stop")
    runner.run(job_id)
    assert job_now(runner, job_id).status == JobStatus.QUEUED


@SQLITE
def test_a_lost_lease_ends_the_process_and_writes_nothing(runner):
    job_id = new_job(runner, "hang")
    thread = in_thread(runner, job_id)
    started(runner, job_id)
    with runner.database.write() as session:
        job = session.get_one(Job, job_id)
        job.attempt, job.lease_owner = 7, "another worker"
    thread.join()
    job = job_now(runner, job_id)
    assert (job.status, job.lease_owner) == (JobStatus.RUNNING, "another worker")
    assert statuses(runner, job_id) == ["queued", "running"]
    assert processes_of(runner, job_id) == []


@SQLITE
def test_a_process_that_does_not_leave_is_killed(runner):
    settings = runner.settings.model_copy(update={"stop_seconds": 1.0})
    runner = runner._replace(settings=settings)
    job_id = new_job(runner, "stubborn")
    thread = in_thread(runner, job_id)
    started(runner, job_id)
    with runner.database.write() as session:
        jobs.cancel(session, job_id)
    thread.join()
    assert job_now(runner, job_id).status == JobStatus.CANCELLED
    assert processes_of(runner, job_id) == []


@SQLITE
def test_what_the_process_started_goes_with_it(runner):
    job_id = new_job(runner, "grandchild")
    thread = in_thread(runner, job_id)
    started(runner, job_id)
    pid = int((runner.settings.job_folder(job_id) / "grandchild").read_text())
    assert psutil.pid_exists(pid)
    with runner.database.write() as session:
        jobs.cancel(session, job_id)
    thread.join()
    wait_for(lambda: not psutil.pid_exists(pid))


@SQLITE
def test_what_has_lost_its_parent_goes_with_the_job(runner):
    job_id = new_job(runner, "orphan")
    runner.run(job_id)
    assert job_now(runner, job_id).status == JobStatus.SUCCEEDED
    pid = int((runner.settings.job_folder(job_id) / "orphan").read_text())
    wait_for(lambda: not psutil.pid_exists(pid))


@SQLITE
def test_what_an_earlier_attempt_has_left_is_ended_first(runner):
    job_id = new_job(runner, "finish")
    with runner.database.write() as session:
        session.get_one(Job, job_id).attempt = 7
    left, other, later = [
        subprocess.Popen(["sleep", "600"], env={**os.environ, "PAKA_ATTEMPT": mark})
        for mark in (f"{job_id}/7/", f"{job_id}0/7/", f"{job_id}/9/")
    ]
    try:
        runner.run(job_id)
        assert left.poll() is not None
        assert other.poll() is None
        assert later.poll() is None
    finally:
        for process in (left, other, later):
            process.kill()
            process.wait()


@SQLITE
def test_jobs_wait_while_the_disk_is_full(runner, caplog):
    job_id = new_job(runner, "finish")
    full = runner.settings.model_copy(update={"min_free_bytes": 2**62})
    runner._replace(settings=full).run(job_id)
    assert (job_now(runner, job_id).status, job_now(runner, job_id).attempt) == ("queued", 0)
    assert "PAKA_MIN_FREE_BYTES" in caplog.text
    runner.run(job_id)
    assert job_now(runner, job_id).status == JobStatus.SUCCEEDED


@SQLITE
def test_a_worker_that_slept_since_its_claim_touches_nothing(runner, monkeypatch):
    job_id = new_job(runner, "finish")
    outcome = runner.settings.job_folder(job_id) / "outcome.json"
    claim = attempts.claim

    def claim_and_sleep(session, job_id, *rest):
        lease = claim(session, job_id, *rest)
        session.get_one(Job, job_id).attempt += 1
        outcome.parent.mkdir(parents=True)
        outcome.write_text("the next attempt's")
        return lease

    monkeypatch.setattr(attempts, "claim", claim_and_sleep)
    runner.run(job_id)
    assert outcome.read_text() == "the next attempt's"
    assert [path.name for path in outcome.parent.iterdir()] == ["outcome.json"]


@SQLITE
def test_a_worker_that_cannot_make_the_folder_fails_the_job(runner):
    runner.settings.artifacts_folder.parent.mkdir(parents=True, exist_ok=True)
    runner.settings.artifacts_folder.write_text("in the way")
    job_id = new_job(runner, "finish")
    with pytest.raises(OSError, match="artifacts"):
        runner.run(job_id)
    job = job_now(runner, job_id)
    assert job.status == JobStatus.FAILED
    assert job.error["code"] == "worker_error"


@SQLITE
def test_the_jobs_process_knows_where_links_may_lead_and_no_password(runner, settings, monkeypatch):
    monkeypatch.setenv("PAKA_DATABASE_URL", "postgresql://user:password@host/name")
    job_id = new_job(runner, "environment")
    runner.run(job_id)
    reach, knows = (settings.job_folder(job_id) / "train.log").read_text().splitlines()
    assert Reach(*(tuple(map(Path, paths)) for paths in json.loads(reach))) == settings.reach
    assert knows == "False"
