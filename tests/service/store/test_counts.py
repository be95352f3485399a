from collections import Counter
from datetime import timedelta

from sqlalchemy import update

from service.store import attempts, counts, jobs
from service.store.base import utc_now
from service.store.models import Attempt
from service.store.status import Cause, JobStatus


def start(session):
    job = jobs.create(session, "train", {}, request_sha256="0" * 64)
    return attempts.claim(session, job.id, "w", 60)


def test_attempts_that_ended_long_ago_are_counted_once_and_the_others_as_they_are(database):
    known = counts.AttemptCounts()
    with database.write() as session:
        assert known.read(session) == Counter()
        first, second = start(session), start(session)
        assert known.read(session) == {("train", None): 2}
        attempts.finish(session, second, JobStatus.SUCCEEDED)
        assert known.read(session) == {("train", None): 1, ("train", Cause.FINISHED): 1}
        attempts.requeue(session, first, "its worker leaves")
        old = utc_now() - timedelta(hours=2)
        session.execute(update(Attempt).values(started_at=old))
        expected = {("train", Cause.STOPPED): 1, ("train", Cause.FINISHED): 1}
        assert known.read(session) == expected
        third = start(session)
        assert known.read(session) == {**expected, ("train", None): 1}
        attempts.finish(session, third, JobStatus.FAILED, {"code": "job_failed", "message": "no"})
        assert known.read(session) == {**expected, ("train", Cause.FAILED): 1}
        assert counts.AttemptCounts().read(session) == known.read(session)
        session.execute(update(Attempt).values(started_at=old))
        assert known.read(session) == {**expected, ("train", Cause.FAILED): 1}
        # They are not read again: a change that cannot happen would not be seen.
        session.execute(update(Attempt).values(ending=Cause.LOST))
        assert known.read(session) == {**expected, ("train", Cause.FAILED): 1}


def test_an_open_attempt_keeps_what_came_after_it_open_to_change(database):
    known = counts.AttemptCounts()
    with database.write() as session:
        long_running, short = start(session), start(session)
        attempts.finish(session, short, JobStatus.SUCCEEDED)
        session.execute(update(Attempt).values(started_at=utc_now() - timedelta(hours=2)))
        assert known.read(session) == {("train", None): 1, ("train", Cause.FINISHED): 1}
        attempts.finish(session, long_running, JobStatus.SUCCEEDED)
        assert known.read(session) == {("train", Cause.FINISHED): 2}
