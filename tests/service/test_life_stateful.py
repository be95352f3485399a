"""Users over HTTP, workers and faults in any order, against a model of a few lines.

The worker here does what a real one does to the database and the broker, without the work.
"""

import json
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from service.app import create_app
from service.reconciler import reconcile
from service.store import attempts, queries
from service.store.attempts import Lease, LeaseLost
from service.store.broker import make_celery
from service.store.contract import JOBS_QUEUE
from service.store.dispatch import claim_next
from service.store.leases import Leases
from service.store.places import Slot, Worker
from service.store.status import TERMINAL, Cause, JobStatus, allowed
from service.store.transitions import NewEvent

QUEUED, RUNNING, CANCELLED = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLED
SLOTS = 2
STEPS = 3
ANY = st.integers(0, 10**6)


class Parts(NamedTuple):
    """What a reconciler needs; `clock` is moved by hand."""

    database: object
    celery: object
    redis: object
    settings: object


class Model:
    """What is known of one job: its history, the lease that counts, and what it has told."""

    def __init__(self, job_id):
        self.id, self.path, self.holder = job_id, [QUEUED], None
        self.attempt, self.lost, self.asked, self.done = 0, 0, False, 0

    @property
    def status(self):
        return self.path[-1]

    def move(self, status):
        self.path.append(status)
        self.holder, self.asked = None, False


class LifeMachine(RuleBasedStateMachine):
    """Some jobs of one service; every lease ever given stays in use, so most are stale."""

    def __init__(self, client, parts):
        super().__init__()
        self.client, self.parts, self.now = client, parts, 0.0
        self.leases = Leases(parts.settings.lease_seconds, lambda: self.now)
        self.worker = Worker("w", tuple(Slot(f"slot-{n}") for n in range(SLOTS)))
        self.models, self.given, self.deleted, self.posts = {}, [], [], 0
        parts.redis.flushall()

    def one_of(self, models, number):
        return models[number % len(models)] if models else None

    def teardown(self):
        """Left in peace, whatever state it was left in, every job comes to one end."""
        self.let_all_leases_run_out()
        while any(model.status not in TERMINAL for model in self.models.values()):
            before = len(self.given)
            self.wake_up()
            assert len(self.given) > before, "nobody takes the jobs that wait"
            self.end(self.given[-1], JobStatus.SUCCEEDED)
        self.the_database_is_as_the_model_says()
        self.users_see_the_same()
        for model in self.models.values():
            assert self.client.delete(f"/jobs/{model.id}").status_code == 204

    # What users do

    @rule(twice=st.booleans())
    def submit(self, twice):
        body = {"preset": "tiny", "dataset": "photos", "name": f"number {self.posts}"}
        headers = {"Idempotency-Key": f"{id(self)}-{self.posts}"}
        self.posts += 1
        answers = [self.client.post("/train", json=body, headers=headers) for _ in range(1 + twice)]
        assert {answer.status_code for answer in answers} == {202}
        [job_id] = {answer.json()["id"] for answer in answers}
        self.models[job_id] = Model(job_id)

    @rule(number=ANY)
    def cancel(self, number):
        if model := self.one_of([*self.models.values()], number):
            answer = self.client.post(f"/jobs/{model.id}/cancel")
            if model.status in TERMINAL:
                assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
            else:
                assert answer.status_code == 202
                if model.status == QUEUED:
                    model.move(CANCELLED)
                else:
                    model.asked = True

    @rule(number=ANY)
    def resume(self, number):
        if model := self.one_of([*self.models.values()], number):
            answer = self.client.post(f"/jobs/{model.id}/resume")
            if model.status in (CANCELLED, JobStatus.FAILED):
                assert answer.status_code == 202
                model.move(QUEUED)
                model.lost = 0
            else:
                assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")

    @rule(number=ANY)
    def delete(self, number):
        if model := self.one_of([*self.models.values()], number):
            answer = self.client.delete(f"/jobs/{model.id}")
            if model.status in TERMINAL:
                assert answer.status_code == 204
                self.deleted.append(self.models.pop(model.id).id)
            else:
                assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")

    @rule(number=ANY)
    def ask_for_what_was_deleted(self, number):
        if job_id := self.one_of(self.deleted, number):
            assert self.client.get(f"/jobs/{job_id}").status_code == 404
            assert self.client.post(f"/jobs/{job_id}/resume").status_code == 404

    # What workers do

    @rule()
    def take_a_message(self):
        if self.parts.redis.rpop(JOBS_QUEUE):
            self.wake_up()

    @rule()
    def wake_up(self):
        with self.parts.database.write() as session:
            claim = claim_next(session, [self.worker], self.parts.settings, "worker-1")
        queued = [model for model in self.models.values() if model.status == QUEUED]
        running = [model for model in self.models.values() if model.status == RUNNING]
        if not queued or len(running) == SLOTS:
            assert claim.lease is None
            return
        model = self.models[claim.lease.job_id]
        assert model.status == QUEUED
        model.move(RUNNING)
        model.attempt += 1
        model.holder = claim.lease
        assert claim.lease == Lease(model.id, model.attempt, "worker-1")
        self.given.append(claim.lease)

    @rule(number=ANY)
    def report(self, number):
        if lease := self.one_of(self.given, number):
            model = self.models.get(lease.job_id)
            step = model.done + 1 if model else 1
            row = {"step": step, "total_steps": STEPS, "loss": 1.0}
            try:
                with self.parts.database.write() as session:
                    events = [NewEvent("metrics", "", row, step)]
                    why = attempts.record(session, lease, 60, events, row)
            except LeaseLost:
                assert not (model and model.holder == lease)
            else:
                assert model.holder == lease
                assert why == (Cause.CANCELLED if model.asked else None)
                model.done = step

    @rule(number=ANY, status=st.sampled_from([*sorted(TERMINAL), QUEUED]))
    def end_one(self, number, status):
        if lease := self.one_of(self.given, number):
            self.end(lease, status)

    def end(self, lease, status):
        model = self.models.get(lease.job_id)
        try:
            with self.parts.database.write() as session:
                if status == QUEUED:
                    attempts.requeue(session, lease, "the worker was stopped")
                else:
                    attempts.finish(session, lease, status)
        except LeaseLost:
            assert not (model and model.holder == lease)
        else:
            assert model.holder == lease
            model.move(CANCELLED if status == QUEUED and model.asked else status)

    # What goes wrong

    @rule()
    def messages_are_lost(self):
        self.parts.redis.delete(JOBS_QUEUE)

    @rule()
    def messages_are_doubled(self):
        for message in self.parts.redis.lrange(JOBS_QUEUE, 0, 20):
            self.parts.redis.lpush(JOBS_QUEUE, message)

    @rule(seconds=st.sampled_from([-1e6, 1e6]), number=ANY)
    def a_clock_is_wrong(self, seconds, number):
        if model := self.one_of([m for m in self.models.values() if m.holder], number):
            with self.parts.database.write() as session:
                attempts.record(session, model.holder, seconds)

    @rule()
    def reconcile(self):
        reconcile(*self.parts, self.leases)

    @rule()
    def let_all_leases_run_out(self):
        self.reconcile()
        self.now += self.parts.settings.lease_seconds + 1
        self.reconcile()
        for model in self.models.values():
            if model.status == RUNNING:
                model.lost += 1
                left = QUEUED if model.lost < self.parts.settings.max_attempts else JobStatus.FAILED
                model.move(CANCELLED if model.asked else left)

    # What must hold

    @invariant()
    def the_database_is_as_the_model_says(self):
        with self.parts.database.read() as session:
            rows = {job.id: job for job in queries.jobs_page(session, 100)}
            events = {job_id: queries.events_after(session, job_id, 0) for job_id in self.models}
        for model in self.models.values():
            job = rows[model.id]
            assert (job.status, job.attempt) == (model.status, model.attempt)
            assert (job.lost_attempts, job.cancel_requested) == (model.lost, model.asked)
            assert (job.finished_at is not None) == (model.status in TERMINAL)
            assert job.lease_owner == (model.holder and model.holder.owner)
            assert bool(job.slot_ids) == (model.status == RUNNING)
            check_story(model, [event.__dict__ for event in events[model.id]])

    def users_see_the_same(self):
        """Over HTTP: the job, its metrics, and the stream of its events to the end."""
        for model in self.models.values():
            job = self.client.get(f"/jobs/{model.id}").json()
            assert (job["status"], job["attempt"]) == (model.status, model.attempt)
            assert (job["progress"] or {}).get("step", 0) == model.done
            metrics = self.client.get(f"/jobs/{model.id}/metrics").json()["data"]
            assert [row["step"] for row in metrics] == [*range(1, model.done + 1)]
            with self.client.stream("GET", f"/jobs/{model.id}/events") as answer:
                lines = [line for line in answer.iter_lines() if line.startswith("data:")]
            check_story(model, [json.loads(line.removeprefix("data:")) for line in lines])


def check_story(model, events):
    """One legal way, each step told once, ids and attempts that only grow."""
    assert [e["message"] for e in events if e["type"] == "status"] == model.path
    assert set(pairwise(model.path)) <= allowed()
    assert [e["id"] for e in events] == sorted({e["id"] for e in events})
    attempts = [e["attempt"] for e in events]
    assert attempts == sorted(attempts)
    told = [e["step"] for e in events if e["type"] == "metrics"]
    assert told == [*range(1, model.done + 1)]


@pytest.fixture
def parts(database, redis, settings):
    quiet = settings.model_copy(
        update={"reconcile_seconds": 3600, "max_attempts": 2, "message_seconds": 1e-3}
    )
    celery = make_celery(quiet)
    yield Parts(database, celery, redis, quiet)
    celery.close()


def test_whatever_users_workers_and_faults_do_every_job_comes_to_one_end(parts, serving, folder):
    with serving(create_app(parts.settings)) as client:
        run_state_machine_as_test(
            lambda: LifeMachine(client, parts),
            settings=hypothesis_settings(
                max_examples=12,
                stateful_step_count=25,
                suppress_health_check=list(HealthCheck),
            ),
        )
