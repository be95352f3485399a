import json

import pytest

from paka.config import TrainConfig
from paka.estimate import estimate
from service.store import attempts
from service.store.base import utc_now
from service.store.contract import CONTRACT_VERSION, worker_key
from service.store.dispatch import claim_next
from service.store.measurements import keep, latest
from service.store.models import Job
from service.store.places import Slot, Worker
from service.store.transitions import NewEvent

TINY = {"preset": "tiny", "dataset": "photos", "optim": {"max_steps": 40}}
DRY = {**TINY, "dry_run": True}
GIB = 2**30
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def announce(redis, device, slots, total):
    """A worker with free slots of this device; returns it as the policy sees it."""
    ids = [f"{device}-{number}" for number in range(slots)]
    views = [
        {"id": one, "device": device, "total_bytes": total, "free_bytes": total} for one in ids
    ]
    about = {"name": "w", "kind": "jobs", "host": "h", "pid": 1, "version": "1"}
    about |= {"contract": CONTRACT_VERSION}
    about |= {"device": device, "started_at": utc_now().isoformat(), "slots": views}
    redis.set(worker_key("jobs", "w"), json.dumps(about))
    return Worker("w", tuple(Slot(one, total, total) for one in ids), shared=device == "cpu")


def run_one(database, settings, worker, step_seconds, device, accumulate=1):
    """Claim the next job and let it measure something; returns its lease."""
    with database.write() as session:
        lease = claim_next(session, [worker], settings, "w:1").lease
    row = {"step": 50, "total_steps": 60, "step_seconds": step_seconds, "eta_seconds": 600.0}
    row |= {"accumulate": accumulate, "peak_memory_bytes": 3 * GIB, "time": utc_now().isoformat()}
    with database.write() as session:
        attempts.record(session, lease, 60, [NewEvent("metrics", "", row, 50)], row)
        keep(session, session.get_one(Job, lease.job_id), device)
    return lease


def test_a_dry_run_says_what_a_job_needs_and_changes_nothing(api, folder, redis, snapshot):
    announce(redis, "cpu", 1, 64 * GIB)
    before = snapshot()
    response = api.post("/train", json=DRY)
    assert snapshot() == before
    answer = response.json()
    assert response.status_code == 200
    config = TrainConfig.model_validate(answer["config"])
    expected = estimate(config, images=3, device="cpu")
    assert answer["basis"] == "model"
    assert (answer["memory_bytes"], answer["total_steps"]) == (expected.memory_bytes, 40)
    assert answer["seconds"] == pytest.approx(expected.seconds)
    assert answer["start_in_seconds"] == 0
    assert answer["fits"] == [{"worker": "w", "slots": ["cpu-0"]}]
    assert "dry_run" not in answer["config"]


def test_it_rests_on_what_was_measured_and_waits_for_what_runs(
    api, folder, redis, database, settings
):
    worker = announce(redis, "NVIDIA A", 1, 4 * GIB)
    first = api.post("/train", json=TINY).json()
    lease = run_one(database, settings, worker, step_seconds=2.5, device="NVIDIA A")
    assert lease.job_id == first["id"]
    answer = api.post("/train", json=DRY).json()
    assert (answer["basis"], answer["device"]) == ("measured", "NVIDIA A")
    assert answer["step_seconds"] == pytest.approx(2.5)
    assert answer["seconds"] == pytest.approx(100)
    assert answer["memory_bytes"] == 3 * GIB + GIB // 2
    assert 590 < answer["start_in_seconds"] <= 600
    second = api.post("/train", json=TINY).json()
    with database.read() as session:
        job = session.get_one(Job, second["id"])
        assert job.memory_bytes == answer["memory_bytes"]
        assert job.expected_seconds == pytest.approx(100)


@sqlite_only
def test_a_guess_of_the_time_is_kept_and_one_of_the_memory_is_not(api, folder, database):
    guess = api.post("/train", json=DRY).json()
    assert guess["basis"] == "model"
    queued = api.post("/train", json=TINY).json()
    with database.read() as session:
        job = session.get_one(Job, queued["id"])
        assert (job.memory_bytes, job.expected_seconds) == (None, pytest.approx(guess["seconds"]))


@sqlite_only
def test_memory_was_measured_with_the_split_that_the_run_chose(
    api, folder, redis, database, settings
):
    worker = announce(redis, "NVIDIA A", 1, 4 * GIB)
    api.post("/train", json={**TINY, "runtime": {"auto_batch": True}})
    run_one(database, settings, worker, step_seconds=2.5, device="NVIDIA A", accumulate=4)
    split = {**DRY, "optim": {"max_steps": 40, "accumulate": 4}}
    assert api.post("/train", json=split).json()["memory_bytes"] == 3 * GIB + GIB // 2
    assert api.post("/train", json=DRY).json()["memory_bytes"] > 3 * GIB + GIB // 2


@sqlite_only
def test_what_fits_nowhere_has_no_start(api, folder, redis, database, settings):
    worker = announce(redis, "NVIDIA A", 1, 4 * GIB)
    api.post("/train", json=TINY)
    run_one(database, settings, worker, step_seconds=2.5, device="NVIDIA A")
    announce(redis, "NVIDIA A", 1, 2 * GIB)
    answer = api.post("/train", json=DRY).json()
    assert (answer["fits"], answer["start_in_seconds"]) == ([], None)
    job = api.post("/train", json=TINY).json()
    reason = api.get(f"/jobs/{job['id']}").json()["waiting"]["reason"]
    assert reason == "needs 3.5 GiB on each of 1 slots, and the largest slot has 2.0 GiB"


@sqlite_only
def test_a_dry_run_is_checked_as_if_it_were_meant(api, folder, redis, assert_problem):
    announce(redis, "cpu", 2, 64 * GIB)
    assert_problem(api.post("/train", json={**DRY, "slots": 3}), 422, "too_many_slots", "slots")
    missing = {**DRY, "dataset": "missing"}
    assert_problem(api.post("/train", json=missing), 422, "path_not_found", "dataset")


@sqlite_only
def test_the_first_steps_measure_nothing(database):
    job = Job(id="job_1", kind="train", config={}, progress={"step": 49, "step_seconds": 9.0})
    with database.write() as session:
        keep(session, job, "cpu")
        assert latest(session, "cpu") == []
