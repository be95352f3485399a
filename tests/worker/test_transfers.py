"""Jobs whose files go through a bucket, on hosts that have a database and no disk in common."""

import pytest

from paka.files import read_json
from service.store import attempts, jobs, queries
from service.store.bucket import MARK, bucket_of
from service.store.models import Job
from service.store.places import Slot, Worker
from service.store.status import JobStatus
from tests.worker.hosts import complete, expected, names, new_job, read, run_a_little
from tests.worker.running import (
    SQLITE,
    events,
    in_thread,
    job_now,
    statuses,
    wait_for,
)
from worker.uploads import lacks

pytestmark = SQLITE


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
