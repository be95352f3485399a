"""From rows to decisions and back, on real databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest.mock import Mock

import pytest
from sqlalchemy import event, update

from service.store import attempts, jobs
from service.store.base import utc_now
from service.store.dispatch import claim_next, read_state
from service.store.models import LOCAL_USER_ID, Attempt, Job
from service.store.places import Slot, Worker
from service.store.preemption import preempt
from service.store.scheduling import Board
from service.store.settings import Settings
from service.store.status import Cause
from service.store.transitions import NewEvent

SETTINGS = Settings(lease_seconds=60)


def gpus(name, count):
    return Worker(name, tuple(Slot(f"{name}-{number}") for number in range(count)))


@pytest.fixture
def claim(database):
    """Claims what a worker should start next."""

    def now(*workers, settings=SETTINGS):
        with database.write() as session:
            return claim_next(session, workers, settings, f"{workers[0].name}:1")

    return now


@pytest.fixture
def change(database):
    """Sets columns of a job."""

    def set_columns(job_id, **values):
        with database.write() as session:
            session.execute(update(Job).where(Job.id == job_id).values(**values))

    return set_columns


def test_a_claim_names_worker_and_slots_and_the_attempt_counts_them(
    database, add_job, change, claim, read_job, read_events
):
    job_id = add_job()
    change(job_id, slots=2)
    lease, _ = claim(gpus("w", 3))
    job = read_job(job_id)
    assert lease.job_id == job_id
    assert (job.worker, job.slot_ids) == ("w", ["w-0", "w-1"])
    assert read_events(job_id)[-1].data["slots"] == ["w-0", "w-1"]
    with database.read() as session:
        assert session.query(Attempt).one().slots == 2


def test_a_claim_takes_as_many_queries_however_many_wait_and_looks_at_each_job_once(
    database, add_job, monkeypatch
):
    queries, looks = [], Mock(side_effect=Board.decide, autospec=True)
    monkeypatch.setattr(Board, "decide", lambda *given: looks(*given))
    event.listen(database.engine, "before_cursor_execute", lambda *a: queries.append(a[2]))
    taken = []
    for _ in range(2):
        for _ in range(10):
            add_job(slots=2)  # which finds no place, so that all are looked at
        queries.clear()
        looks.reset_mock()
        with database.write() as session:
            claim_next(session, [gpus("w", 1)], SETTINGS, "w:1")
        taken.append((len(queries), looks.call_count))
    assert taken == [(taken[0][0], 10), (taken[0][0], 20)]


def test_slots_are_free_again_when_the_job_ends_or_its_attempt_is_lost(
    database, add_job, claim, read_job
):
    one = gpus("w", 1)
    first, second = add_job(), add_job()
    lease, following = claim(one)
    assert (lease.job_id, following) == (first, None)
    assert claim(one) == (None, None)
    with database.write() as session:
        attempts.lose(session, read_job(first), "no heartbeat", max_attempts=1)
    lease, _ = claim(one)
    assert lease.job_id == second
    with database.write() as session:
        attempts.requeue(session, lease, "the worker leaves")
    assert claim(one)[0].job_id == second


def test_a_claim_tells_of_what_else_could_start_here_or_elsewhere(add_job, claim, change):
    first, second, large = add_job(), add_job(), add_job()
    change(large, slots=4)
    assert claim(gpus("a", 2))[1] == second
    assert claim(gpus("a", 2))[0].job_id == second
    assert claim(gpus("a", 2), gpus("b", 4)) == (None, large)
    assert claim(gpus("b", 4), gpus("a", 2))[0].job_id == large
    assert first != second


def test_workers_that_claim_at_once_never_take_the_same_slot(database, add_job, claim):
    for _ in range(12):
        add_job()
    shared = [gpus("gpu", 4)._replace(name=name) for name in ("a", "b")]

    def work(worker):
        return [lease for _ in range(4) if (lease := claim(worker)[0])]

    with ThreadPoolExecutor(2) as threads:
        leases = [lease for found in threads.map(work, shared) for lease in found]
    assert len(leases) == 4
    with database.read() as session:
        held = [session.get_one(Job, lease.job_id).slot_ids for lease in leases]
    assert sorted(slot for slots in held for slot in slots) == [f"gpu-{n}" for n in range(4)]


def test_usage_is_that_of_closed_and_open_attempts(database, add_job, claim):
    add_job()
    now = utc_now()
    with database.write() as session:
        closed = Attempt(job_id="job_gone", attempt=1, user_id=LOCAL_USER_ID, kind="train")
        closed.owner, closed.slots = "w", 2
        closed.started_at, closed.ended_at = now - timedelta(hours=25), now - timedelta(hours=24)
        session.add(closed)
    claim(gpus("w", 1))
    with database.read() as session:
        usage = read_state(session, [], SETTINGS).usage[LOCAL_USER_ID]
    assert usage.week == pytest.approx(7200, abs=5)
    assert usage.recent == pytest.approx(3600, rel=0.02)


def test_progress_says_when_a_job_ends_and_how_much_is_left_of_one_that_waits(
    database, add_job, claim
):
    add_job()
    lease, _ = claim(gpus("w", 1))
    now = utc_now()
    row = {"step": 3, "eta_seconds": 100.0, "time": now.isoformat()}
    with database.write() as session:
        attempts.record(session, lease, 60, [NewEvent("metrics", "", row, 3)], row)
    with database.read() as session:
        (running,) = read_state(session, [], SETTINGS).running
    assert running.ends_at == pytest.approx(now.timestamp() + 100)
    with database.write() as session:
        attempts.requeue(session, lease, "the worker leaves")
    with database.read() as session:
        (waiting,) = read_state(session, [], SETTINGS).waiting
    assert waiting.seconds == 100.0


def test_a_low_job_is_asked_once_to_leave_and_goes_back_without_a_lost_attempt(
    database, add_job, claim, change, read_job, read_events
):
    low = add_job()
    change(low, priority=0)
    worker = gpus("w", 2)
    settings = SETTINGS.model_copy(update={"preempt_after_minutes": 0.0})
    lease, _ = claim(worker)
    normal = add_job()
    change(normal, slots=2)
    with database.write() as session:
        assert preempt(read_state(session, [worker], settings)) == [low]
        jobs.ask_to_leave(session, low)
        jobs.ask_to_leave(session, low)
    with database.write() as session:
        assert preempt(read_state(session, [worker], settings)) == []
        assert attempts.record(session, lease, 60) == Cause.PREEMPTED
        attempts.requeue(session, lease, "make room", Cause.PREEMPTED)
    asked = [event for event in read_events(low) if event.type == "message"]
    assert len(asked) == 1
    job = read_job(low)
    assert (job.status, job.lost_attempts, job.preempt_requested) == ("queued", 0, False)
    assert read_events(low)[-1].data["cause"] == "preempted"
    assert claim(worker)[0].job_id == normal
