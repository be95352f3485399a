"""Jobs of several nodes, as the API takes and shows them."""

import json

import pytest

from service.store import nodes
from service.store.base import utc_now
from service.store.contract import worker_key
from service.store.dispatch import claim_next
from service.store.workers import announced_workers, for_jobs

TWO = {
    "preset": "tiny",
    "dataset": "photos",
    "runtime": {"processes": 2, "nodes": 2},
}
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def announce(redis):
    """Announces a worker with one GPU at an address."""

    def add(name, **address):
        slot = {"id": f"GPU-{name}", "device": "NVIDIA A", "total_bytes": None, "free_bytes": None}
        about = {"name": f"{name}:1", "kind": "jobs", "host": name, "pid": 1, "version": "1"}
        about |= {"contract": 1, "device": "NVIDIA A", "started_at": utc_now().isoformat()}
        key = worker_key("jobs", f"{name}:1")
        redis.set(key, json.dumps({**about, "slots": [slot], **address}))

    return add


@pytest.fixture
def claim(database, settings, redis):
    """Claims the next job for the first worker there is."""

    def now():
        workers = for_jobs(announced_workers(redis))
        with database.write() as session:
            return claim_next(session, workers, settings, "a:1:x", "10.0.0.1:29500").lease

    return now


def test_a_job_shows_where_its_nodes_are(api, folder, announce, claim, database):
    announce("a", address="10.0.0.1")
    announce("b", address="10.0.0.2")
    job = api.post("/train", json=TWO).json()
    assert (job["slots"], job["nodes"]) == (2, [])
    cluster = api.get("/cluster").json()
    assert [worker["address"] for worker in cluster["workers"]] == ["10.0.0.1", "10.0.0.2"]
    assert [(one["slots"], one["nodes"]) for one in cluster["queue"]] == [(2, 2)]
    lease = claim()
    assert lease.job_id == job["id"]
    shown = api.get(f"/jobs/{job['id']}").json()
    assert shown["worker"] == "a:1"
    assert shown["nodes"] == [
        {"worker": "a:1", "slots": ["GPU-a"], "state": "running"},
        {"worker": "b:1", "slots": ["GPU-b"], "state": "awaited"},
    ]
    with database.write() as session:
        part = nodes.take(session, "b:1", "b:1:y")
        nodes.end(session, part, "failed", "no such data set")
    assert api.get(f"/jobs/{job['id']}").json()["nodes"][1]["state"] == "failed"
    slots = [slot for one in api.get("/cluster").json()["workers"] for slot in one["slots"]]
    assert [slot["job"] for slot in slots] == [job["id"]] * 2


@pytest.mark.parametrize(
    "second",
    [None, {}, {"address": "127.0.0.1"}],
    ids=["one worker", "one of an earlier version", "one that others cannot reach"],
)
def test_more_nodes_than_reach_each_other_are_refused(
    api, folder, announce, assert_problem, snapshot, second
):
    announce("a", address="10.0.0.1")
    if second is not None:
        announce("b", **second)
    before = snapshot()
    detail = assert_problem(
        api.post("/train", json=TWO), 422, "too_many_slots", "runtime.processes"
    )
    assert "needs a slot on each of 2 workers that reach each other" in detail
    assert snapshot() == before


def test_slots_and_processes_must_divide_among_the_nodes(api, folder, assert_problem):
    uneven = {**TWO, "slots": 3}
    assert_problem(api.post("/train", json=uneven), 422, "uneven_slots", "slots")
    uneven = {**TWO, "runtime": {"processes": 3, "nodes": 2}, "optim": {"batch_size": 6}}
    answer = api.post("/train", json=uneven)
    assert answer.status_code == 422
    assert "3 is not a multiple of runtime.nodes = 2" in answer.text
