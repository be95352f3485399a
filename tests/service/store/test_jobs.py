from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, NoResultFound

from service.store import attempts, jobs
from service.store.models import Checkpoint, Encoder, Job, JobEvent
from service.store.status import Cause, IllegalTransition, JobStatus
from tests.service.store.conftest import encoder

SUCCEEDED, FAILED, CANCELLED = JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED
MADE = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_new_job_is_queued_and_says_so(read_job, read_events, add_job):
    job_id = add_job(name="first", config={"optim": {"batch_size": 8}}, idempotency_key="k")
    job = read_job(job_id)
    assert (job.status, job.attempt, job.lost_attempts) == (JobStatus.QUEUED, 0, 0)
    assert isinstance(job.status, JobStatus)
    assert (job.name, job.config) == ("first", {"optim": {"batch_size": 8}})
    assert job.lease_owner is job.lease_expires_at is job.enqueued_at is job.started_at is None
    assert [(e.type, e.message, e.attempt) for e in read_events(job_id)] == [
        ("status", "queued", 0)
    ]


def test_an_idempotency_key_belongs_to_one_job(add_job):
    add_job(idempotency_key="key")
    with pytest.raises(IntegrityError):
        add_job(idempotency_key="key")


def test_a_queued_job_is_cancelled_at_once(database, read_job, path_of, add_job, start_job):
    job_id = add_job()
    with database.write() as session:
        assert jobs.cancel(session, job_id).status == CANCELLED
    assert read_job(job_id).finished_at is not None
    assert path_of(job_id) == ["queued", "cancelled"]
    assert start_job(job_id) is None


def test_the_worker_of_a_running_job_is_asked_to_stop_it(database, read_events, start_job):
    lease = start_job()
    for _ in range(2):
        with database.write() as session:
            job = jobs.cancel(session, lease.job_id)
            assert (job.status, job.cancel_requested) == (JobStatus.RUNNING, True)
    with database.write() as session:
        assert attempts.record(session, lease, 60) == Cause.CANCELLED
    messages = [event.message for event in read_events(lease.job_id)]
    assert messages == ["queued", "running", "cancel requested"]


@pytest.mark.parametrize("status", [SUCCEEDED, FAILED, CANCELLED])
def test_a_job_that_has_ended_cannot_be_cancelled(database, path_of, end_job, status):
    job_id = end_job(status)
    with (
        pytest.raises(IllegalTransition, match=f"is {status}; only queued and running jobs"),
        database.write() as session,
    ):
        jobs.cancel(session, job_id)
    assert path_of(job_id) == ["queued", "running", status]


@pytest.mark.parametrize("status", [FAILED, CANCELLED])
def test_a_failed_or_cancelled_job_can_be_resumed(database, read_job, path_of, end_job, status):
    job_id = end_job(status)
    with database.write() as session:
        assert jobs.resume(session, job_id).status == JobStatus.QUEUED
    job = read_job(job_id)
    assert job.error is job.finished_at is None
    end_job(SUCCEEDED, job_id)
    assert read_job(job_id).attempt == 2
    assert path_of(job_id) == ["queued", "running", status, "queued", "running", "succeeded"]


def test_a_resumed_job_has_all_its_attempts_again(database, start_job, lose_job):
    lease = start_job()
    assert lose_job(lease.job_id, max_attempts=1) == FAILED
    with database.write() as session:
        jobs.resume(session, lease.job_id)
    start_job(lease.job_id)
    assert lose_job(lease.job_id, max_attempts=2) == JobStatus.QUEUED


def test_only_a_failed_or_cancelled_job_can_be_resumed(database, add_job, start_job, end_job):
    for job_id, status in (
        (add_job(), "queued"),
        (start_job().job_id, "running"),
        (end_job(SUCCEEDED), "succeeded"),
    ):
        with (
            pytest.raises(IllegalTransition, match=f"is {status}; only failed and cancelled jobs"),
            database.write() as session,
        ):
            jobs.resume(session, job_id)


@pytest.mark.parametrize("change", [jobs.cancel, jobs.resume, jobs.delete])
def test_a_job_that_is_not_there_is_reported(database, change):
    with pytest.raises(NoResultFound), database.write() as session:
        change(session, "job_none")


def test_deleting_a_job_removes_all_its_rows_and_no_others(database, start_job):
    leases = [start_job(), start_job()]
    for number, lease in enumerate(leases):
        with database.write() as session:
            attempts.record(session, lease, 60)
            attempts.add_checkpoint(session, lease, 10, "checkpoints/step-00000010", {}, MADE)
            attempts.add_encoder(session, encoder(lease.job_id, f"enc_{number}"))
            attempts.finish(session, lease, SUCCEEDED)
    with database.write() as session:
        jobs.delete(session, leases[0].job_id)
    with database.read() as session:
        tables = (Job, JobEvent, Checkpoint, Encoder)
        left = [
            set(session.scalars(select(table.__table__.c.get("job_id", table.__table__.c.id))))
            for table in tables
        ]
    assert left == [{leases[1].job_id}] * 4


def test_only_a_job_that_has_ended_can_be_deleted(database, read_job, add_job, start_job, end_job):
    for job_id, status in ((add_job(), "queued"), (start_job().job_id, "running")):
        with (
            pytest.raises(IllegalTransition, match=f"is {status}; only jobs that have ended"),
            database.write() as session,
        ):
            jobs.delete(session, job_id)
        assert read_job(job_id).status == status
    for status in (SUCCEEDED, FAILED, CANCELLED):
        job_id = end_job(status)
        with database.write() as session:
            jobs.delete(session, job_id)
        assert read_job(job_id) is None


def test_sending_a_message_is_noted_for_queued_jobs_only(database, read_job, add_job, start_job):
    queued, running = add_job(), start_job().job_id
    with database.write() as session:
        jobs.mark_enqueued(session, [queued, running, "job_none"])
    assert read_job(queued).enqueued_at is not None
    assert read_job(running).enqueued_at is None
    start_job(queued)
    assert read_job(queued).enqueued_at is None


def test_a_message_sent_before_a_job_was_cancelled_does_not_count_when_it_is_resumed(
    database, read_job, add_job
):
    job_id = add_job()
    with database.write() as session:
        jobs.mark_enqueued(session, [job_id])
        jobs.cancel(session, job_id)
        jobs.resume(session, job_id)
    assert read_job(job_id).enqueued_at is None
