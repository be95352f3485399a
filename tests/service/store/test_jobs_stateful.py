"""Any order of claims, records, cancels, losses and ends, against a model of a few lines."""

from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from service.store import attempts, jobs, queries
from service.store.attempts import Lease, LeaseLost
from service.store.status import TERMINAL, Cause, IllegalTransition, JobStatus, allowed
from service.store.transitions import NewEvent

QUEUED, RUNNING, CANCELLED = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLED
MAX_ATTEMPTS = 2


class JobMachine(RuleBasedStateMachine):
    """One job; `path` is the model's history of it, `holder` the lease that counts."""

    leases = Bundle("leases")  # every lease ever given, so most of them are stale

    def __init__(self, database):
        super().__init__()
        self.database = database
        with database.write() as session:
            job = jobs.create(session, "train", {}, request_sha256="0" * 64)
        self.job_id, self.path = job.id, [QUEUED]
        self.holder, self.attempt, self.lost, self.asked, self.recorded = None, 0, 0, False, 0

    @property
    def status(self):
        return self.path[-1]

    def move(self, status):
        self.path.append(status)
        self.holder, self.asked = None, False

    def act(self, action, *arguments):
        """The action's result, or the error that it is known to raise."""
        try:
            with self.database.write() as session:
                return action(session, *arguments)
        except (LeaseLost, IllegalTransition) as error:
            return type(error)

    @rule(target=leases, owner=st.sampled_from(["worker-1", "worker-2"]))
    def claim(self, owner):
        lease = self.act(attempts.claim, self.job_id, owner, 60)
        if self.status != QUEUED:
            assert lease is None
            return multiple()
        self.move(RUNNING)
        self.attempt += 1
        self.holder = Lease(self.job_id, self.attempt, owner)
        assert lease == self.holder
        return lease

    @rule(lease=leases)
    def record(self, lease):
        events = [NewEvent("message", "progress")]
        answer = self.act(attempts.record, lease, 60, events, {"n": self.recorded + 1})
        if lease == self.holder:
            assert answer == (Cause.CANCELLED if self.asked else None)
            self.recorded += 1
        else:
            assert answer is LeaseLost

    @rule(lease=leases, status=st.sampled_from(sorted(TERMINAL)))
    def finish(self, lease, status):
        answer = self.act(attempts.finish, lease, status)
        assert answer is (None if lease == self.holder else LeaseLost)
        if lease == self.holder:
            self.move(status)

    @rule(lease=leases)
    def requeue(self, lease):
        answer = self.act(attempts.requeue, lease, "worker stops")
        if lease == self.holder:
            self.move(CANCELLED if self.asked else QUEUED)
            assert answer == self.status
        else:
            assert answer is LeaseLost

    @rule()
    def lose(self):
        with self.database.write() as session:
            job = queries.job_by_id(session, self.job_id)
            answer = attempts.lose(session, job, "no heartbeat", MAX_ATTEMPTS)
        if self.status != RUNNING:
            assert answer is None
            return
        self.lost += 1
        left = QUEUED if self.lost < MAX_ATTEMPTS else JobStatus.FAILED
        self.move(CANCELLED if self.asked else left)
        assert answer == self.status

    @rule()
    def cancel(self):
        answer = self.act(jobs.cancel, self.job_id)
        if self.status in TERMINAL:
            assert answer is IllegalTransition
        elif self.status == QUEUED:
            self.move(CANCELLED)
        else:
            self.asked = True

    @rule()
    def resume(self):
        answer = self.act(jobs.resume, self.job_id)
        if self.status in (CANCELLED, JobStatus.FAILED):
            self.move(QUEUED)
            self.lost = 0
        else:
            assert answer is IllegalTransition

    @invariant()
    def the_job_is_as_the_model_says(self):
        with self.database.read() as session:
            job = queries.job_by_id(session, self.job_id)
        assert job.status == self.status
        assert (job.attempt, job.lost_attempts) == (self.attempt, self.lost)
        assert job.lease_owner == (self.holder and self.holder.owner)
        assert (job.lease_expires_at is not None) == (job.status == RUNNING)
        assert (job.finished_at is not None) == (job.status in TERMINAL)
        assert job.cancel_requested == self.asked
        assert job.progress == ({"n": self.recorded} if self.recorded else None)

    @invariant()
    def the_events_tell_the_whole_story(self):
        with self.database.read() as session:
            events = queries.events_after(session, self.job_id, 0)
        path = [event.message for event in events if event.type == "status"]
        assert path == self.path
        assert set(pairwise(self.path)) <= allowed()
        attempts = [event.attempt for event in events]
        assert attempts == sorted(attempts)
        assert sum(event.message == "progress" for event in events) == self.recorded


def test_whatever_happens_a_job_keeps_its_rules(database):
    run_state_machine_as_test(
        lambda: JobMachine(database),
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )
