"""Several jobs at once: which runs where, and who makes room."""

from service.store import jobs
from service.store.broker import waiting_job_ids
from service.store.models import Job
from service.store.places import Slot, Worker
from service.store.status import JobStatus
from tests.worker.running import (
    SQLITE,
    events,
    in_thread,
    job_now,
    new_job,
    processes_of,
    started,
)


def two_gpus(_settings):
    return [Worker("this", (Slot("GPU-a"), Slot("GPU-b")))]


@SQLITE
def test_one_message_runs_all_that_waits_one_after_the_other(runner):
    first, second = new_job(runner, "finish"), new_job(runner, "finish")
    runner.run(second)
    assert {job_now(runner, job_id).status for job_id in (first, second)} == {JobStatus.SUCCEEDED}


@SQLITE
def test_jobs_run_beside_one_another_each_on_a_gpu_of_its_own(runner, redis):
    settings = runner.settings.model_copy(update={"job_niceness": 10})
    runner = runner._replace(workers=two_gpus, settings=settings)
    job_ids = [new_job(runner, "hang") for _ in range(3)]
    threads = [in_thread(runner, job_ids[0])]
    started(runner, job_ids[0])
    assert waiting_job_ids(redis) == {job_ids[1]}  # the other GPU is free: somebody should look
    threads.append(in_thread(runner, job_ids[1]))
    started(runner, job_ids[1])
    runner.run(job_ids[2])  # no GPU is free
    seen = []
    for job_id in job_ids[:2]:
        (process, *_) = processes_of(runner, job_id)
        seen.append(process.environ()["CUDA_VISIBLE_DEVICES"])
        assert job_now(runner, job_id).slot_ids == seen[-1:]
        assert process.nice() == 10
    assert seen == ["GPU-a", "GPU-b"]
    assert job_now(runner, job_ids[2]).status == JobStatus.QUEUED
    runner.stopping.set()
    for thread in threads:
        thread.join()


@SQLITE
def test_what_another_worker_could_start_is_sent_on(runner, redis):
    other = Worker("other", (Slot("GPU-c"), Slot("GPU-d"), Slot("GPU-e")))
    runner = runner._replace(workers=lambda _: [*two_gpus(_), other])
    job_id = new_job(runner, "finish")
    with runner.database.write() as session:
        session.get_one(Job, job_id).slots = 3
    runner.run(job_id)
    assert job_now(runner, job_id).status == JobStatus.QUEUED
    assert waiting_job_ids(redis) == {job_id}


@SQLITE
def test_a_message_costs_one_look_at_the_machine_and_no_other_writer_waits_for_it(
    runner, monkeypatch
):
    asked = []

    def resolve(_):
        with runner.database.write():  # for as long as an unknown name takes
            return "127.0.0.1"

    monkeypatch.setattr("worker.run_job.node_address", resolve)
    runner._replace(workers=lambda _: asked.append(1) or two_gpus(_)).run()
    assert asked == [1]


@SQLITE
def test_a_job_that_makes_room_goes_back_with_its_checkpoint(runner, redis):
    job_id = new_job(runner, "hang")
    thread = in_thread(runner, job_id)
    started(runner, job_id)
    with runner.database.write() as session:
        jobs.ask_to_leave(session, job_id)
    thread.join()
    job = job_now(runner, job_id)
    assert (job.status, job.lost_attempts, job.slot_ids) == (JobStatus.QUEUED, 0, None)
    assert events(runner, job_id, "status")[-1].data["cause"] == "preempted"
    assert events(runner, job_id, "checkpoint")
    assert waiting_job_ids(redis) == {job_id}
