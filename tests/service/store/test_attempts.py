from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from service.store import attempts, jobs, queries
from service.store.attempts import LeaseLost
from service.store.models import Attempt, Encoder, Job
from service.store.status import JobStatus
from service.store.transitions import NewEvent
from tests.service.store.conftest import encoder

SUCCEEDED, FAILED, CANCELLED = JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED
MADE = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_claim_gives_a_lease_and_counts_the_attempt(read_job, read_events, start_job):
    before = datetime.now(UTC)
    lease = start_job(owner="worker-7", lease_seconds=60)
    job = read_job(lease.job_id)
    assert lease == (job.id, 1, "worker-7")
    assert (job.status, job.attempt, job.lease_owner) == (JobStatus.RUNNING, 1, "worker-7")
    assert before <= job.started_at <= datetime.now(UTC)
    assert timedelta(seconds=59) < job.lease_expires_at - before < timedelta(seconds=70)
    event = read_events(lease.job_id)[-1]
    assert (event.message, event.attempt) == ("running", 1)
    assert event.data == {"cause": "claimed", "attempt": 1, "worker": "worker-7"}


def test_a_second_claim_gets_nothing_and_changes_nothing(read_job, path_of, start_job):
    lease = start_job(owner="worker-1")
    assert start_job(lease.job_id, owner="worker-2") is None
    assert read_job(lease.job_id).lease_owner == "worker-1"
    assert path_of(lease.job_id) == ["queued", "running"]


def test_a_job_that_is_not_there_cannot_be_claimed(start_job):
    assert start_job("job_none") is None


def test_of_two_workers_that_claim_at_once_exactly_one_wins(database, add_job, start_job, path_of):
    both = Barrier(2)
    job_ids = [add_job() for _ in range(50)]

    def work(owner):
        won = []
        for job_id in job_ids:
            both.wait()
            if start_job(job_id, owner=owner):
                won.append(job_id)
        return won

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(work, ["worker-1", "worker-2"])
    assert sorted(first + second) == sorted(job_ids)
    for job_id in job_ids:
        assert path_of(job_id) == ["queued", "running"]


def test_the_start_time_is_that_of_the_first_attempt(database, read_job, start_job):
    lease = start_job()
    first = read_job(lease.job_id).started_at
    with database.write() as session:
        attempts.requeue(session, lease, "worker stops")
    assert start_job(lease.job_id).attempt == 2
    assert read_job(lease.job_id).started_at == first


def test_record_renews_the_lease_and_adds_events_and_progress(
    database, read_job, read_events, start_job
):
    lease = start_job(lease_seconds=1)
    before = read_job(lease.job_id).lease_expires_at
    metrics = [NewEvent("metrics", "", {"loss": 0.5 / step}, step) for step in (1, 2)]
    with database.write() as session:
        assert attempts.record(session, lease, 60, metrics, {"step": 2}) is None
    job = read_job(lease.job_id)
    assert job.lease_expires_at > before
    assert job.progress == {"step": 2}
    assert [(e.type, e.step, e.data) for e in read_events(job.id)[2:]] == [
        ("metrics", 1, {"loss": 0.5}),
        ("metrics", 2, {"loss": 0.25}),
    ]


def test_record_without_progress_keeps_the_last(database, read_job, start_job):
    lease = start_job()
    with database.write() as session:
        attempts.record(session, lease, 60, progress={"step": 2})
    with database.write() as session:
        attempts.record(session, lease, 60)
    assert read_job(lease.job_id).progress == {"step": 2}


def test_record_and_what_goes_with_it_is_one_transaction(database, read_events, start_job):
    lease = start_job()
    with pytest.raises(RuntimeError), database.write() as session:
        attempts.record(session, lease, 60, [NewEvent("message", "half")])
        attempts.add_checkpoint(session, lease, 10, "checkpoints/step-00000010", {}, MADE)
        raise RuntimeError
    assert [event.message for event in read_events(lease.job_id)] == ["queued", "running"]
    with database.read() as session:
        assert queries.checkpoints_of(session, lease.job_id) == []


@pytest.mark.parametrize(
    "write",
    [
        lambda s, lease: attempts.record(s, lease, 60, [NewEvent("message", "stale")], {"step": 9}),
        lambda s, lease: attempts.finish(s, lease, SUCCEEDED),
        lambda s, lease: attempts.requeue(s, lease, "stale"),
    ],
    ids=["record", "finish", "requeue"],
)
@pytest.mark.parametrize("now", ["another attempt runs", "queued", "ended"])
def test_a_worker_that_lost_its_lease_writes_nothing(
    database, read_job, read_events, start_job, lose_job, write, now
):
    stale = start_job(owner="worker-1")
    lose_job(stale.job_id, max_attempts=1 if now == "ended" else 3)
    if now == "another attempt runs":
        start_job(stale.job_id, owner="worker-1")
    job, events = read_job(stale.job_id), read_events(stale.job_id)
    with (
        pytest.raises(LeaseLost, match=f"no longer holds attempt 1 of {job.id}"),
        database.write() as session,
    ):
        write(session, stale)
    after = read_job(job.id)
    columns = Job.__table__.columns.keys()
    assert {c: getattr(after, c) for c in columns} == {c: getattr(job, c) for c in columns}
    assert len(read_events(job.id)) == len(events)


def test_a_lease_is_its_owners_only(database, start_job):
    lease = start_job(owner="worker-1")
    with pytest.raises(LeaseLost), database.write() as session:
        attempts.record(session, lease._replace(owner="worker-2"), 60)


@pytest.mark.parametrize("status", [SUCCEEDED, FAILED, CANCELLED])
def test_finish_ends_the_job(database, read_job, read_events, start_job, status):
    error = {"code": "training_failed", "message": "loss is nan"} if status == FAILED else None
    lease = start_job()
    with database.write() as session:
        attempts.finish(session, lease, status, error)
    job, event = read_job(lease.job_id), read_events(lease.job_id)[-1]
    assert (job.status, job.error) == (status, error)
    assert job.lease_owner is job.lease_expires_at is None
    assert job.started_at <= job.finished_at
    assert (event.type, event.message) == ("status", status)
    assert event.level == ("error" if status == FAILED else "info")
    assert event.data.get("error") == error
    assert event.data["cause"] == {"succeeded": "finished"}.get(status, status)


def test_a_worker_that_leaves_gives_its_job_back(database, read_job, read_events, start_job):
    lease = start_job()
    with database.write() as session:
        assert attempts.requeue(session, lease, "worker stops") == JobStatus.QUEUED
    job = read_job(lease.job_id)
    assert (job.status, job.attempt, job.lost_attempts) == (JobStatus.QUEUED, 1, 0)
    assert job.lease_owner is job.finished_at is None
    assert read_events(job.id)[-1].data == {"cause": "stopped", "reason": "worker stops"}


def test_a_cancelled_job_stays_cancelled_when_its_worker_leaves(
    database, read_job, path_of, start_job
):
    lease = start_job()
    with database.write() as session:
        jobs.cancel(session, lease.job_id)
    with database.write() as session:
        assert attempts.requeue(session, lease, "worker stops") == CANCELLED
    assert read_job(lease.job_id).cancel_requested is False
    assert path_of(lease.job_id) == ["queued", "running", "cancelled"]


def test_a_job_cancelled_while_its_worker_leaves_is_cancelled_whoever_is_first(
    database, path_of, start_job
):
    both = Barrier(2)
    leases = [start_job() for _ in range(50)]

    def for_each(change):
        for lease in leases:
            both.wait()
            with database.write() as session:
                change(session, lease)

    changes = [
        lambda session, lease: jobs.cancel(session, lease.job_id),
        lambda session, lease: attempts.requeue(session, lease, "worker stops"),
    ]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(for_each, changes))
    for lease in leases:
        assert path_of(lease.job_id)[-1] == "cancelled"


def test_a_cancelled_job_stays_cancelled_when_its_worker_dies(
    database, path_of, start_job, lose_job
):
    lease = start_job()
    with database.write() as session:
        jobs.cancel(session, lease.job_id)
    assert lose_job(lease.job_id, max_attempts=1) == CANCELLED
    assert path_of(lease.job_id) == ["queued", "running", "cancelled"]


def test_a_job_whose_worker_dies_is_queued_again_until_the_limit(
    read_job, read_events, start_job, lose_job, add_job
):
    job_id = add_job()
    ends = []
    for _ in range(3):
        start_job(job_id)
        ends.append(lose_job(job_id, max_attempts=3))
    assert ends == [JobStatus.QUEUED, JobStatus.QUEUED, FAILED]
    job = read_job(job_id)
    assert (job.status, job.attempt, job.lost_attempts) == (FAILED, 3, 3)
    assert job.error == {
        "code": "attempts_exhausted",
        "message": "no heartbeat; 3 attempts died",
    }
    about = {"cause": "exhausted", "reason": "no heartbeat", "error": job.error}
    assert read_events(job_id)[-1].data == about


def test_leaving_does_not_count_as_dying(database, read_job, start_job, add_job):
    job_id = add_job()
    for _ in range(5):
        with database.write() as session:
            attempts.requeue(session, attempts.claim(session, job_id, "worker", 60), "worker stops")
    assert (read_job(job_id).attempt, read_job(job_id).lost_attempts) == (5, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda session, lease: attempts.record(session, lease, 120),
        lambda session, lease: jobs.cancel(session, lease.job_id),
        lambda session, lease: attempts.finish(session, lease, SUCCEEDED),
    ],
    ids=["lease renewed", "cancel requested", "ended"],
)
def test_a_job_that_changed_since_it_was_read_is_not_lost(
    database, read_job, path_of, start_job, change
):
    lease = start_job()
    job = read_job(lease.job_id)
    with database.write() as session:
        change(session, lease)
    path = path_of(job.id)
    with database.write() as session:
        assert attempts.lose(session, job, "no heartbeat", 3) is None
    assert path_of(job.id) == path


def test_a_checkpoint_is_noted_once(database, read_events, start_job):
    lease = start_job()
    files = {"encoder.safetensors": {"sha256": "0" * 64, "bytes": 5_000_000_000}}
    for step in (20, 10, 20):
        with database.write() as session:
            attempts.add_checkpoint(
                session, lease, step, f"checkpoints/step-{step:08}", files, MADE
            )
    with database.read() as session:
        noted = queries.checkpoints_of(session, lease.job_id)
    assert [checkpoint.step for checkpoint in noted] == [10, 20]
    assert (noted[0].files, noted[0].created_at) == (files, MADE)
    events = [event for event in read_events(lease.job_id) if event.type == "checkpoint"]
    assert [(e.step, e.data) for e in events] == [
        (20, {"path": "checkpoints/step-00000020"}),
        (10, {"path": "checkpoints/step-00000010"}),
    ]


@pytest.mark.parametrize("kept", [[20, 30], [30], []])
def test_checkpoints_no_longer_on_disk_are_forgotten(database, start_job, kept):
    mine, other = start_job(), start_job()
    with database.write() as session:
        for lease in (mine, other):
            for step in (10, 20, 30):
                attempts.add_checkpoint(session, lease, step, "p", {}, MADE)
        attempts.forget_checkpoints(session, mine.job_id, kept)
    with database.read() as session:
        assert [c.step for c in queries.checkpoints_of(session, mine.job_id)] == kept
        assert len(queries.checkpoints_of(session, other.job_id)) == 3


def test_a_job_has_one_encoder_the_latest(database, start_job):
    lease = start_job()
    for name in ("enc_1", "enc_2"):
        with database.write() as session:
            attempts.add_encoder(session, encoder(lease.job_id, name, bytes=5_000_000_000))
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Encoder)) == 1
        found = queries.encoder_of_job(session, lease.job_id)
        assert (found.id, found.bytes) == ("enc_2", 5_000_000_000)


def test_each_claim_is_an_attempt_in_the_accounts_that_outlives_the_job(
    database, add_job, start_job, lose_job
):
    job_id = add_job()
    start_job(job_id)
    lose_job(job_id)
    lease = start_job(job_id)
    with database.write() as session:
        attempts.finish(session, lease, SUCCEEDED)
        jobs.delete(session, job_id)
    with database.read() as session:
        rows = session.scalars(select(Attempt).order_by(Attempt.attempt)).all()
    assert [(row.job_id, row.attempt, row.ending) for row in rows] == [
        (job_id, 1, "lost"),
        (job_id, 2, "finished"),
    ]
    assert all(row.started_at <= row.ended_at and row.slots == 1 for row in rows)


def test_the_database_refuses_a_second_open_attempt_of_a_job(database, start_job):
    lease = start_job()
    with database.read() as session:
        first = session.scalars(select(Attempt)).one()
    again = {
        "job_id": lease.job_id,
        "attempt": 2,
        "user_id": first.user_id,
        "kind": "train",
        "owner": "worker-2",
        "slots": 1,
        "started_at": first.started_at,
    }
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Attempt(**again))
