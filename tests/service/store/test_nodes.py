"""The parts of a job of several nodes, on real databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from service.store import attempts, jobs, nodes
from service.store.attempts import LeaseLost
from service.store.dispatch import claim_next
from service.store.models import JobNode
from service.store.nodes import PartLost
from service.store.places import Slot, Worker
from service.store.settings import Settings
from service.store.status import JobStatus

SETTINGS = Settings(lease_seconds=60)
WORKERS = [Worker(f"host-{n}:1", tuple(Slot(f"gpu-{n}{m}") for m in "ab")) for n in range(3)]


@pytest.fixture
def claim(database):
    """Claims what the first worker should start next."""

    def now():
        with database.write() as session:
            return claim_next(session, WORKERS, SETTINGS, "host-0:1:aa", "10.0.0.5:29500").lease

    return now


@pytest.fixture
def take(database):
    """Takes a part for a worker."""

    def now(number, owner="one"):
        with database.write() as session:
            return nodes.take(session, f"host-{number}:1", owner)

    return now


@pytest.fixture
def rows(database):
    """Returns the parts of all jobs."""

    def now():
        with database.read() as session:
            return session.scalars(select(JobNode).order_by(JobNode.rank)).all()

    return now


def test_a_claim_writes_a_part_for_each_node(add_job, claim, read_job, rows, database):
    job_id = add_job(slots=4, nodes=2)
    lease = claim()
    job = read_job(job_id)
    assert (job.worker, job.slot_ids) == ("host-0:1", ["gpu-0a", "gpu-0b", "gpu-1a", "gpu-1b"])
    about = [(part.worker, part.slot_ids, part.owner, part.rendezvous) for part in rows()]
    assert about == [
        ("host-0:1", ["gpu-0a", "gpu-0b"], lease.owner, "10.0.0.5:29500"),
        ("host-1:1", ["gpu-1a", "gpu-1b"], None, "10.0.0.5:29500"),
    ]
    with database.read() as session:
        assert nodes.incomplete(session, job_id)
        assert [nodes.awaits(session, worker.name) for worker in WORKERS] == [False, True, False]
        assert nodes.begin(session, lease).slot_ids == ("gpu-0a", "gpu-0b")
        with pytest.raises(LeaseLost):
            nodes.begin(session, lease._replace(attempt=lease.attempt + 1))


def test_a_job_of_one_node_has_no_parts(add_job, claim, rows):
    add_job(slots=2)
    assert claim()
    assert rows() == []


def test_a_part_is_taken_once_and_by_its_worker(add_job, claim, take):
    add_job(slots=4, nodes=2)
    claim()
    assert take(0) is None
    assert take(2) is None
    with ThreadPoolExecutor(4) as threads:
        taken = [*threads.map(lambda owner: take(1, owner), "abcd")]
    (part,) = [part for part in taken if part]
    assert (part.rank, part.attempt, part.slot_ids) == (1, 1, ("gpu-1a", "gpu-1b"))


def end_by_finish(session, lease):
    attempts.finish(session, lease, JobStatus.SUCCEEDED)


def end_by_requeue(session, lease):
    attempts.requeue(session, lease, "the worker leaves")


@pytest.mark.parametrize("end", [end_by_finish, end_by_requeue])
def test_a_part_ends_with_its_attempt(add_job, claim, take, database, rows, end):
    add_job(slots=4, nodes=2)
    lease, part = claim(), take(1)
    with database.write() as session:
        nodes.beat(session, part)
    assert rows()[1].beats == 1
    with database.write() as session:
        end(session, lease)
    assert rows() == []
    for write in (nodes.beat, lambda *about: nodes.end(*about, "finished", None)):
        with (
            pytest.raises(PartLost, match=r"attempt 1 .* is over for node 1"),
            database.write() as session,
        ):
            write(session, part)


def test_a_part_of_an_old_attempt_is_none_of_the_new_one(add_job, claim, take, database, rows):
    add_job(slots=4, nodes=2)
    lease, old = claim(), take(1)
    with database.write() as session:
        attempts.requeue(session, lease, "the worker leaves")
    claim()
    new = take(1, "two")
    assert (old.attempt, new.attempt) == (1, 2)
    with pytest.raises(PartLost), database.write() as session:
        nodes.end(session, old, "died", "gone")
    assert rows()[1].ending is None


def test_a_removed_job_takes_its_parts_along(add_job, claim, database, rows):
    job_id = add_job(slots=4, nodes=2)
    lease = claim()
    with database.write() as session:
        attempts.finish(session, lease, JobStatus.SUCCEEDED)
        jobs.delete(session, job_id)
    assert rows() == []
