import threading
import time

import pytest

from service.store import attempts, jobs
from service.store.attempts import LeaseLost
from service.store.models import Job
from worker.hold import hold

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def lease(database):
    with database.write() as session:
        job_id = jobs.create(session, "train", {}, request_sha256="0" * 64).id
        return attempts.claim(session, job_id, "me", 0.3)


@pytest.fixture
def stopping():
    return threading.Event()


def expires(database, lease):
    with database.read() as session:
        return session.get_one(Job, lease.job_id).lease_expires_at


def test_the_lease_is_renewed_until_the_work_is_done(database, lease, stopping):
    before = expires(database, lease)
    assert hold(database, lease, 0.3, stopping, lambda _: time.sleep(0.5) or "done") == "done"
    assert (expires(database, lease) - before).total_seconds() > 0.3


def test_what_the_work_raises_is_raised(database, lease, stopping):
    def fail(_):
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        hold(database, lease, 0.3, stopping, fail)


@pytest.mark.parametrize("why", ["stopping", "cancelled"])
def test_work_is_told_to_give_up(database, lease, stopping, why):
    if why == "stopping":
        stopping.set()
    else:
        with database.write() as session:
            jobs.cancel(session, lease.job_id)
    assert hold(database, lease, 0.3, stopping, lambda give_up: give_up.wait(10))


def test_work_for_a_job_that_is_another_s_is_left(database, lease, stopping):
    with database.write() as session:
        attempts.lose(session, session.get_one(Job, lease.job_id), "silent", 3)
    told = threading.Event()
    with pytest.raises(LeaseLost):
        hold(database, lease, 0.3, stopping, lambda give_up: give_up.wait(10) and told.set())
    assert told.wait(10)
