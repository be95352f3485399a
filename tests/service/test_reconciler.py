import json
import threading
import time
from datetime import timedelta

import pytest
from redis import Redis, RedisError
from sqlalchemy import update

from service.reconciler import Reconciler, leases_of, make_room, reconcile
from service.store import attempts, jobs, queries
from service.store.base import utc_now
from service.store.broker import make_celery, make_redis, waiting_job_ids
from service.store.contract import JOBS_QUEUE, worker_key
from service.store.leases import Leases
from service.store.models import Job
from service.store.versions import DatabaseVersion


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def parts(database, settings, redis, clock):
    """What the reconciler works on."""
    celery = make_celery(settings)
    yield database, celery, redis, settings, Leases(settings.lease_seconds, clock)
    celery.close()


@pytest.fixture
def add_job(database):
    """Adds a queued job; returns its id."""

    def add():
        with database.write() as session:
            return jobs.create(session, "train", {}, request_sha256="0").id

    return add


def read(database, job_id):
    with database.read() as session:
        return queries.job_by_id(session, job_id)


@pytest.fixture
def lose_worker(database, parts, clock):
    """Claims a job, and lets its lease run out before the reconciler's eyes."""

    def lose(job_id):
        with database.write() as session:
            assert attempts.claim(session, job_id, "worker-1", lease_seconds=60)
        with database.read() as session:
            parts[-1].run_out(leases_of(queries.running_jobs(session)))
        clock.now += parts[3].lease_seconds + 1

    return lose


def test_a_queued_job_without_a_message_gets_one(parts, add_job, database, redis):
    made = {add_job() for _ in range(3)}
    reconcile(*parts)
    assert waiting_job_ids(redis) == made
    assert all(read(database, job_id).enqueued_at for job_id in made)
    reconcile(*parts)
    assert redis.llen(JOBS_QUEUE) == 3


def test_a_lost_message_is_sent_again_once_it_is_old(parts, add_job, database, redis):
    lost, waiting, recent = add_job(), add_job(), add_job()
    reconcile(*parts)
    redis.flushall()
    old = utc_now() - timedelta(seconds=60)
    with database.write() as session:
        session.execute(update(Job).where(Job.id.in_([lost, waiting])).values(enqueued_at=old))
    parts[1].send_task("paka.run_job", args=[waiting], task_id=waiting)
    reconcile(*parts)
    assert waiting_job_ids(redis) == {lost, waiting}
    assert redis.llen(JOBS_QUEUE) == 2
    assert recent not in waiting_job_ids(redis)


def test_a_job_whose_worker_died_is_queued_and_sent_again(
    parts, add_job, database, redis, lose_worker
):
    job_id = add_job()
    lose_worker(job_id)
    reconcile(*parts)
    job = read(database, job_id)
    assert (job.status, job.lost_attempts) == ("queued", 1)
    assert waiting_job_ids(redis) == {job_id}


def test_a_job_whose_workers_keep_dying_fails_with_the_reason(
    parts, add_job, database, lose_worker
):
    job_id = add_job()
    for _ in range(parts[3].max_attempts):
        lose_worker(job_id)
        reconcile(*parts)
    job = read(database, job_id)
    assert (job.status, job.error["code"]) == ("failed", "attempts_exhausted")


def test_a_running_job_with_a_lease_is_left_alone(parts, add_job, database, redis):
    job_id = add_job()
    with database.write() as session:
        attempts.claim(session, job_id, "worker-1", lease_seconds=60)
    reconcile(*parts)
    assert read(database, job_id).status == "running"
    assert redis.llen(JOBS_QUEUE) == 0


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_worker_with_a_wrong_clock_keeps_its_jobs(parts, add_job, database, clock, hours):
    job_id = add_job()
    with database.write() as session:
        lease = attempts.claim(session, job_id, "worker-1", lease_seconds=hours * 3600)
    for beat in range(5):
        reconcile(*parts)
        clock.now += parts[3].lease_seconds * 0.9
        with database.write() as session:
            attempts.record(session, lease, hours * 3600 + beat)
    reconcile(*parts)
    assert read(database, job_id).status == "running"
    clock.now += parts[3].lease_seconds + 1
    reconcile(*parts)
    assert read(database, job_id).status == "queued"


def test_the_lease_of_a_new_attempt_begins_anew(parts, add_job, database, clock, lose_worker):
    job_id = add_job()
    lose_worker(job_id)
    reconcile(*parts)
    with database.write() as session:
        assert attempts.claim(session, job_id, "worker-2", lease_seconds=60)
    reconcile(*parts)
    assert read(database, job_id).status == "running"


def test_several_reconcilers_at_once_lose_an_attempt_only_once(
    parts, add_job, database, redis, clock
):
    made = [add_job() for _ in range(5)]
    with database.write() as session:
        for job_id in made:
            attempts.claim(session, job_id, "worker-1", lease_seconds=60)
        running = queries.running_jobs(session)
    everyone = [Leases(parts[3].lease_seconds, clock) for _ in range(4)]
    assert not any(leases.run_out(leases_of(running)) for leases in everyone)
    clock.now += parts[3].lease_seconds + 1
    barrier = threading.Barrier(len(everyone))

    def run(leases):
        barrier.wait()
        reconcile(*parts[:-1], leases)

    threads = [threading.Thread(target=run, args=(leases,)) for leases in everyone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [read(database, job_id).lost_attempts for job_id in made] == [1] * 5
    assert waiting_job_ids(redis) == set(made)


def test_without_redis_lost_jobs_are_queued_all_the_same(
    database, settings, add_job, tmp_path, parts, lose_worker
):
    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/none.sock"})
    job_id = add_job()
    lose_worker(job_id)
    celery = make_celery(away)
    with make_redis(away) as redis, pytest.raises(RedisError):
        reconcile(database, celery, redis, away, parts[-1])
    celery.close()
    assert read(database, job_id).status == "queued"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_thread_survives_trouble_and_reports_it_once(parts, add_job, redis, tmp_path, caplog):
    database, celery, _, settings, _ = parts
    settings = settings.model_copy(update={"reconcile_seconds": 0.02})
    client = Redis(unix_socket_path=str(tmp_path / "none.sock"), retry=None)
    job_id = add_job()
    reconciler = Reconciler(database, celery, client, settings, DatabaseVersion(database))
    reconciler.start()
    time.sleep(0.3)
    assert redis.llen(JOBS_QUEUE) == 0
    client.connection_pool = redis.connection_pool  # Redis is back
    until = time.monotonic() + 10
    while not redis.llen(JOBS_QUEUE) and time.monotonic() < until:
        time.sleep(0.01)
    reconciler.stop()
    assert waiting_job_ids(redis) == {job_id}
    assert len([r for r in caplog.records if r.name == "service.reconciler"]) == 1


def test_the_application_reconciles_by_itself(api, add_job, redis):
    job_id = add_job()
    until = time.monotonic() + 10
    while job_id not in waiting_job_ids(redis) and time.monotonic() < until:
        time.sleep(0.02)
    assert job_id in waiting_job_ids(redis)


def test_of_many_queued_jobs_the_search_goes_on_where_it_ended(parts, add_job, redis, monkeypatch):
    monkeypatch.setattr(queries.queued_jobs_without_recent_message, "__defaults__", (2,))
    made = [add_job() for _ in range(5)]
    for found in (2, 4, 5):
        reconcile(*parts)
        assert waiting_job_ids(redis) == set(sorted(made)[:found])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_low_job_is_asked_to_make_room(parts, database, redis, settings):
    slot = {"id": "GPU-a", "device": "NVIDIA A", "total_bytes": None, "free_bytes": None}
    about = {"name": "w", "kind": "jobs", "slots": [slot]}
    redis.set(worker_key("jobs", "w"), json.dumps(about))
    with database.write() as session:
        low = jobs.create(session, "train", {}, request_sha256="0", priority=0).id
        attempts.claim(session, low, "w:1", 60, "w", ["GPU-a"])
        jobs.create(session, "train", {}, request_sha256="0")
    make_room(database, redis, settings)
    assert not read(database, low).preempt_requested  # it has its first minutes
    make_room(database, redis, settings.model_copy(update={"preempt_after_minutes": 0.0}))
    assert read(database, low).preempt_requested
