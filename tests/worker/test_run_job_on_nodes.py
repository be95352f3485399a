"""A job of two nodes on two workers, each with a folder of artifacts of its own."""

import threading
from functools import partial

import pytest

from paka.files import read_json
from service.store import attempts, jobs, nodes, queries
from service.store.broker import waiting_job_ids
from service.store.models import Job
from service.store.places import Slot, Worker
from service.store.status import JobStatus
from tests.worker.running import (
    CONFIG,
    SQLITE,
    events,
    in_thread,
    job_now,
    processes_of,
    started,
    statuses,
    wait_for,
)
from worker.process import kill_marked

HERE, THERE = (Worker(f"{name}:1", (Slot(f"GPU-{name}"),)) for name in ("here", "there"))


@pytest.fixture
def runners(runner, tmp_path):
    """The runners of two workers."""
    apart = runner.settings.model_copy(update={"artifacts": tmp_path / "there"})
    return (
        runner._replace(workers=lambda _: [HERE, THERE], name=lambda: HERE.name),
        runner._replace(workers=lambda _: [THERE, HERE], name=lambda: THERE.name, settings=apart),
    )


@pytest.fixture
def start(runners):
    """Starts a job of two nodes that behave so; returns its id when both run."""
    threads = []

    def begin(first, second, both=True, other=None):
        here, there = runners[0], other or runners[1]
        runtime = {"processes": 2, "nodes": 2}
        config = {**CONFIG, "runtime": runtime, "mode": first, "modes": {"1": second}}
        with here.database.write() as session:
            job = jobs.create(session, "train", config, request_sha256="", slots=2, nodes=2)
        threads.append(in_thread(here, job.id))
        wait_for(lambda: job_now(here, job.id).attempt == 1)
        if both:
            threads.append(in_thread(there, job.id))
        return job.id

    yield begin
    runners[0].stopping.set()
    for thread in threads:
        thread.join()


def parts(runner, job_id):
    with runner.database.read() as session:
        return nodes.parts_of(session, job_id)


def ended(runner, job_id):
    wait_for(lambda: job_now(runner, job_id).status != JobStatus.RUNNING)
    return job_now(runner, job_id)


def processes(runners, job_id):
    """Those of the first node, and of the second."""
    return processes_of(runners[0], job_id), processes_of(runners[1], f"{job_id}/nodes/1")


def both_run(runners, job_id):
    wait_for(lambda: all(processes(runners, job_id)))


def nothing_left(runners, job_id):
    wait_for(lambda: not any(processes(runners, job_id)))


def test_two_workers_run_one_job(runners, start, redis):
    here, there = runners
    job_id = start("finish", "finish")
    assert ended(here, job_id).status == JobStatus.SUCCEEDED
    assert statuses(here, job_id) == ["queued", "running", "succeeded"]
    folder = there.settings.job_folder(job_id) / "nodes" / "1"
    assert read_json(folder / "config.json")["runtime"]["nodes"] == 2
    assert (folder / "train.log").exists()
    assert [path.name for path in there.settings.job_folder(job_id).iterdir()] == ["nodes"]
    assert parts(here, job_id) == []


@SQLITE
def test_each_node_knows_its_number_its_slots_and_where_to_meet(runners, start, redis):
    job_id = start("hang", "hang")
    started(runners[0], job_id)
    assert waiting_job_ids(redis) == {job_id}  # woke the other worker
    both_run(runners, job_id)
    seen = [process.environ() for (process, *_) in processes(runners, job_id)]
    assert [one["PAKA_NODE_RANK"] for one in seen] == ["0", "1"]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == ["GPU-here", "GPU-there"]
    assert seen[0]["PAKA_RENDEZVOUS"] == seen[1]["PAKA_RENDEZVOUS"]
    assert {one["PAKA_RENDEZVOUS_ID"] for one in seen} == {f"{job_id}.1"}
    assert [part.owner is not None for part in parts(runners[0], job_id)] == [True, True]


@SQLITE
@pytest.mark.parametrize("first", ["hang", "failed"])  # it may notice before its worker does
def test_a_node_that_was_killed_costs_an_attempt(runners, start, first):
    job_id = start(first, "killed")
    job = ended(runners[0], job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 1)
    reason = events(runners[0], job_id, "status")[-1].data["reason"]
    assert reason.startswith("node 1 on there:1: the job's process was killed by SIGKILL")


@SQLITE
def test_a_node_that_fails_fails_the_job_with_its_error(runners, start):
    job_id = start("hang", "failed")
    job = ended(runners[0], job_id)
    assert job.status == JobStatus.FAILED
    assert job.error == {"code": "job_failed", "message": "node 1 on there:1: the loss is nan"}
    nothing_left(runners, job_id)


@SQLITE
@pytest.mark.parametrize("first", ["hang", "failed"])
def test_a_node_that_never_comes_costs_an_attempt(runners, start, first):
    job_id = start(first, "hang", both=False)
    job = ended(runners[0], job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 1)
    reason = events(runners[0], job_id, "status")[-1].data["reason"]
    assert reason == "node 1: worker there:1 did not come for 2 s"


@SQLITE
@pytest.mark.parametrize("second", ["hang", "stubborn"])  # or killed for being too slow
def test_a_node_whose_worker_is_stopped_gives_the_job_back(runners, start, second):
    stopping = threading.Event()
    quick = runners[1].settings.model_copy(update={"stop_seconds": 1})
    leaving = runners[1]._replace(stopping=stopping, settings=quick)
    job_id = start("hang", second, other=leaving)
    both_run(runners, job_id)
    started(runners[0], job_id)
    stopping.set()
    job = ended(runners[0], job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 0)
    assert events(runners[0], job_id, "status")[-1].data["cause"] == "stopped"
    assert events(runners[0], job_id, "checkpoint")


@SQLITE
def test_a_node_whose_worker_leaves_before_it_takes_it_costs_no_attempt(runners, start):
    here, there = runners
    job_id = start("hang", "hang", both=False)
    started(here, job_id)
    leaving = there._replace(stopping=threading.Event())
    leaving.stopping.set()
    leaving.run()
    job = ended(here, job_id)
    assert (job.status, job.lost_attempts) == (JobStatus.QUEUED, 0)
    assert events(here, job_id, "status")[-1].data["cause"] == "stopped"


@SQLITE
def test_a_cancelled_job_ends_on_all_nodes(runners, start):
    job_id = start("hang", "stubborn")
    started(runners[0], job_id)
    both_run(runners, job_id)
    with runners[0].database.write() as session:
        jobs.cancel(session, job_id)
    assert ended(runners[0], job_id).status == JobStatus.CANCELLED
    assert events(runners[0], job_id, "checkpoint")
    nothing_left(runners, job_id)


@SQLITE
def test_the_others_end_when_the_first_nodes_worker_is_lost(runners, start):
    job_id = start("hang", "hang")
    both_run(runners, job_id)
    with runners[0].database.write() as session:
        job = session.get_one(Job, job_id)
        job.cancel_requested = True  # so that nobody starts it again meanwhile
        session.flush()
        attempts.lose(session, job, "gave no sign of life", 3)
    nothing_left(runners, job_id)
    assert statuses(runners[0], job_id) == ["queued", "running", "cancelled"]


@SQLITE
def test_a_host_where_nodes_cannot_meet_runs_the_jobs_of_one(runners, start, monkeypatch, caplog):
    def refuse(*_, **__):
        raise OSError("Address family not supported by protocol")

    monkeypatch.setattr("worker.address.socket.create_server", refuse)
    here, _ = runners
    with here.database.write() as session:
        config = {**CONFIG, "runtime": {"processes": 2, "nodes": 2}, "mode": "finish"}
        create = partial(jobs.create, session, "train", request_sha256="")
        large = create(config, slots=2, nodes=2).id
        small = create({**CONFIG, "mode": "finish"}).id
    here.run(large)
    assert job_now(here, small).status == JobStatus.SUCCEEDED
    assert job_now(here, large).status == JobStatus.QUEUED
    assert "no job of several nodes is taken: Address family" in caplog.text


@SQLITE
def test_a_message_does_not_wait_while_a_node_of_another_job_runs(runners, start, redis):
    here, there = runners
    job_id = start("hang", "hang", both=False)
    started(here, job_id)
    with here.database.write() as session:
        other = jobs.create(session, "train", {**CONFIG, "mode": "finish"}, request_sha256="").id
    redis.flushall()
    thread = in_thread(there, other)
    both_run(runners, job_id)
    assert waiting_job_ids(redis) == {other}
    there.stopping.set()
    thread.join()


@SQLITE
def test_a_message_for_another_worker_is_sent_on(runners, start, redis):
    job_id = start("hang", "hang", both=False)
    started(runners[0], job_id)
    redis.flushall()
    runners[0].run(job_id)
    assert waiting_job_ids(redis) == {job_id}
    with runners[0].database.read() as session:
        assert [job.id for job in queries.running_jobs(session)] == [job_id]


@SQLITE
def test_the_first_node_ends_without_the_others_on_its_host(runners, start):
    job_id = start("hang", "stubborn")
    both_run(runners, job_id)
    ((first, *_), (second, *_)) = processes(runners, job_id)
    kill_marked(first.environ()["PAKA_ATTEMPT"])
    assert not first.is_running()
    assert second.is_running()
