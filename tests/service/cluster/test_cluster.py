import json

import pytest

from service.store import jobs, users
from service.store.base import utc_now
from service.store.contract import worker_key
from service.store.dispatch import claim_next
from service.store.places import Slot, Worker
from service.store.workers import GpuUse, Use

TINY = {"preset": "tiny", "dataset": "photos"}
GIB = 2**30
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def gpu_worker(redis):
    """Announces a worker with two GPUs; returns it as the policy sees it."""
    slots = [
        {"id": f"GPU-{name}", "device": "NVIDIA A", "total_bytes": 80 * GIB, "free_bytes": free}
        for name, free in (("a", 80 * GIB), ("b", 70 * GIB))
    ]
    about = {"name": "w", "kind": "jobs", "host": "h", "pid": 1, "version": "1", "contract": 1}
    about |= {"device": "NVIDIA A", "started_at": utc_now().isoformat(), "slots": slots}
    gpu = GpuUse("GPU-b", "NVIDIA A", 10 * GIB, 80 * GIB, busy=0.97)
    about |= {"use": Use("h", GIB, 0.5, GIB, 2 * GIB, (gpu,))._asdict() | {"gpus": [gpu._asdict()]}}
    redis.set(worker_key("jobs", "w"), json.dumps(about))
    return Worker("w", (Slot("GPU-a", 80 * GIB, 80 * GIB), Slot("GPU-b", 70 * GIB, 80 * GIB)))


@pytest.fixture
def run_next(database, settings, gpu_worker):
    """Claims the next job; returns its id."""

    def run():
        with database.write() as session:
            return claim_next(session, [gpu_worker], settings, "w:1").lease.job_id

    return run


def test_the_cluster_shows_slots_queue_and_users(api, folder, gpu_worker, run_next):
    job = api.post("/train", json={**TINY, "priority": "low"}).json()
    assert (job["priority"], job["slots"], job["worker"]) == ("low", 1, None)
    assert run_next() == job["id"]
    large = api.post("/train", json={**TINY, "slots": 2}).json()
    cluster = api.get("/cluster").json()
    (worker,) = cluster["workers"]
    held = [(slot["id"], slot["job"], slot["user"]) for slot in worker["slots"]]
    assert held == [("GPU-a", None, None), ("GPU-b", job["id"], "local")]
    assert [slot["utilisation"] for slot in worker["slots"]] == [None, 0.97]
    (queued,) = cluster["queue"]
    assert (queued["position"], queued["job"], queued["slots"]) == (1, large["id"], 2)
    assert queued["reason"] == "waits for 2 free slots"
    assert queued["starts_at"] > queued["queued_at"]
    (user,) = cluster["users"]
    assert (user["user"], user["running_slots"], user["queued_jobs"]) == ("local", 1, 1)
    assert cluster["limits"]["queued_jobs"] == 1000
    assert api.get(f"/jobs/{job['id']}").json()["worker"] == "w"
    waiting = {"position": 1, "reason": "waits for 2 free slots"}
    assert api.get(f"/jobs/{large['id']}").json()["waiting"] == waiting


@sqlite_only
def test_of_others_private_jobs_only_their_being_there_is_shown(
    ask, database, gpu_worker, run_next
):
    with database.write() as session:
        owner = users.user_by_name(session, "owner").id
        for _ in range(2):
            jobs.create(
                session, "train", {}, request_sha256="0", user_id=owner, visibility="private"
            )
    run_next()
    with database.write() as session:
        jobs.create(session, "train", {}, request_sha256="0", user_id=owner, slots=2)
    for name, seen in (("other", "private"), ("owner", "job_"), ("admin", "job_")):
        cluster = ask(name, "GET", "/cluster").json()
        shown = [slot["job"] for slot in cluster["workers"][0]["slots"] if slot["job"]]
        shown.append(cluster["queue"][0]["job"])
        assert all(job.startswith(seen) for job in shown), name


@sqlite_only
def test_without_redis_there_is_no_cluster_to_show(settings, serving, assert_problem, tmp_path):
    from service.app import create_app

    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/none.sock"})
    with serving(create_app(away)) as client:
        assert_problem(client.get("/cluster"), 503, "queue_unavailable")


@sqlite_only
def test_a_job_that_asks_for_more_than_any_worker_has_is_refused(
    api, folder, gpu_worker, snapshot, assert_problem
):
    before = snapshot()
    detail = assert_problem(
        api.post("/train", json={**TINY, "slots": 3}), 422, "too_many_slots", "slots"
    )
    assert "needs 3 slots, and the largest worker has 2" in detail
    many = {**TINY, "runtime": {"processes": 4}}
    assert_problem(api.post("/train", json=many), 422, "too_many_slots", "runtime.processes")
    hidden = {**TINY, "runtime": {"processes": 2}, "slots": 1}  # would take the memory of two
    assert_problem(api.post("/train", json=hidden), 422, "too_few_slots", "slots")
    assert snapshot() == before


@sqlite_only
def test_a_user_may_have_only_so_much(settings, serving, folder, assert_problem):
    from service.app import create_app

    small = settings.model_copy(update={"user_queued_jobs": 1, "user_running_slots": 1})
    with serving(create_app(small)) as client:
        large = client.post("/train", json={**TINY, "slots": 2})
        assert "one user may run on 1" in assert_problem(large, 422, "too_many_slots", "slots")
        assert client.post("/train", json=TINY).status_code == 202
        response = client.post("/train", json=TINY)
    assert "1 jobs of local wait" in assert_problem(response, 429, "user_queue_full")
    assert int(response.headers["retry-after"]) > 0


@sqlite_only
def test_only_admins_raise_priorities(ask, folder, assert_problem):
    high = {**TINY, "priority": "high"}
    assert_problem(ask("owner", "POST", "/train", json=high), 403, "forbidden")
    job = ask("owner", "POST", "/train", json=TINY).json()
    path = f"/jobs/{job['id']}"
    lowered = ask("owner", "PATCH", path, json={"priority": "low"}).json()
    assert lowered["priority"] == "low"
    assert ask("owner", "PATCH", path, json={"priority": "normal"}).json()["priority"] == "normal"
    assert_problem(ask("owner", "PATCH", path, json={"priority": "high"}), 403, "forbidden")
    assert ask("admin", "PATCH", path, json={"priority": "high"}).json()["priority"] == "high"
    assert ask("admin", "POST", "/train", json=high).status_code == 202
