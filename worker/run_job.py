"""What a job's message wakes: claim the next job, or a node of one, and run it."""

import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy.exc import DBAPIError

from service.store import attempts, jobs, nodes, queries, tracing, versions
from service.store.attempts import Lease, LeaseLost
from service.store.contract import RUN_JOB_TASK
from service.store.dispatch import Claim, claim_next
from service.store.logs import log_context
from service.store.models import Job, JobKind
from service.store.nodes import Part, PartLost
from service.store.places import Worker
from service.store.redact import redact
from service.store.session import Database, is_away
from service.store.settings import Settings
from service.store.status import TERMINAL, JobStatus
from service.store.versions import DatabaseVersion
from service.store.workers import worker_name
from worker.address import new_rendezvous, node_address
from worker.attempt import AttemptRunner
from worker.cluster import only_this_worker
from worker.disk import storage_problem
from worker.part import PartRunner

log = logging.getLogger(__name__)

MODULES: dict[JobKind, str] = {
    "train": "paka.launch",
    "embed": "paka.embed_folder",
    "evaluate": "paka.evaluate",
}
_ELSEWHERE_SECONDS = 0.5
"""Pause before a message that is another worker's to act upon is sent on."""


class JobRunner(NamedTuple):
    """What a worker has at hand to run jobs.

    `stopping` is set when the worker should leave; `workers` returns those that there are, with
    their slots, this one first, whose name is `name`.
    """

    database: Database
    celery: Celery
    settings: Settings
    stopping: threading.Event
    modules: dict[JobKind, str] = MODULES
    workers: Callable[[Settings], list[Worker]] = only_this_worker
    name: Callable[[], str] = worker_name

    def run(self, job_id: str = "") -> None:
        """Run whatever should run here now, one job after the other, until there is nothing.

        A message only wakes: whichever job it was sent for, the policy says which goes next. So one
        that was delivered twice, or late, does nothing. First come nodes of jobs that other workers
        have claimed, which wait for this one; one that leaves says so to them.
        """
        while not self.stopping.is_set():
            if taken := self._take_part():
                if job_id not in ("", taken[0].job_id):
                    self._send(job_id)  # it would wait here for as long as the node runs
                    job_id = ""
                self._run_part(*taken)
                continue
            claim = self._claim(job_id)
            if claim.lease is None and claim.next_job_id is not None:
                self.stopping.wait(_ELSEWHERE_SECONDS)
            if claim.next_job_id is not None:
                self._send(claim.next_job_id)
            if claim.lease is None or not self._run(claim.lease):
                return
        self._refuse_parts()

    def _take_part(self) -> tuple[Part, Job] | None:
        """Take a node of a job that another worker has claimed; None if none waits for this one."""
        me = self.name()
        with self.database.read() as session:
            if versions.check(session.connection()) or not nodes.awaits(session, me):
                return None
        with self.database.write() as session:
            part = nodes.take(session, me, _new_owner())
            return part and (part, session.get_one(Job, part.job_id))

    def _refuse_parts(self) -> None:
        """End the nodes that wait for this worker: their attempts end now, and are not lost."""
        while taken := self._take_part():
            with suppress(PartLost), self.database.write() as session:
                nodes.end(session, taken[0], "stopped", None)

    def _run_part(self, part: Part, job: Job) -> None:
        with self.database.read() as session:
            missing = nodes.incomplete(session, job.id)
        if missing:
            self._send(job.id)
        runner = PartRunner(part, self.database, self.settings, self.stopping)
        with log_context(job_id=job.id, attempt=part.attempt):
            runner.run(self.modules[job.kind], job.config)

    def _claim(self, message: str) -> Claim:
        if problem := storage_problem(self.settings):
            log.error("no job is taken: %s", problem)
            return Claim(None, None)
        workers, meet = self._with_rendezvous(self.workers(self.settings))
        with tracing.span("claim") as claiming, self.database.write() as session:
            if outdated := versions.check(session.connection()):
                log.error("no job is taken: %s", outdated)
                return Claim(None, None)
            claim = claim_next(session, workers, self.settings, _new_owner(), meet)
            if claim.lease is None and nodes.incomplete(session, message):
                return Claim(None, message)
            if claiming and claim.lease:
                claiming.set_attribute("paka.job_id", claim.lease.job_id)
            return claim

    def _with_rendezvous(self, workers: list[Worker]) -> tuple[list[Worker], str]:
        """The workers, and where nodes of a job can meet on this host. Where they cannot, this
        worker reaches none of the others.
        """
        try:
            return workers, new_rendezvous(node_address(self.settings))
        except OSError as error:
            log.error("no job of several nodes is taken: %s", error)
            this = workers[0]
            return [this._replace(network=this.name), *workers[1:]], ""

    def _run(self, lease: Lease) -> bool:
        """Run one attempt at a job; False if it is not over, and another message will come."""
        with self.database.read() as session:
            job = session.get_one(Job, lease.job_id)
            sent = queries.metrics_times(session, lease.job_id)
            source = queries.source_of(session, lease.job_id)
        ids = {"job_id": job.id, "attempt": lease.attempt, "request_id": source.get("request_id")}
        about: tracing.Attributes = {"paka.job_id": job.id, "paka.attempt": lease.attempt}
        links = [source.get("traceparent")]
        with (
            log_context(**ids),
            tracing.span(f"{job.kind} job", about, kind="consumer", links=links, alone=True),
        ):
            return self._run_claimed(lease, job, sent)

    def _run_claimed(self, lease: Lease, job: Job, sent: set[tuple[int, str]]) -> bool:
        log.info("job %s: attempt %d", job.id, lease.attempt)
        try:
            return self._attempt(lease, job, sent) in TERMINAL
        except LeaseLost as error:
            log.warning("%s; nothing was written", error)
            return False
        except Exception as error:
            if isinstance(error, DBAPIError) and is_away(error):
                log.warning("job %s is left to the reconciler: %s", lease.job_id, error)
                return False
            if outdated := DatabaseVersion(self.database).refresh():
                log.error("job %s is left to its next worker: %s", lease.job_id, outdated)
                raise
            with self.database.write() as session:
                message = redact(f"the worker failed: {type(error).__name__}: {error}")
                problem = {"code": "worker_error", "message": message}
                attempts.finish(session, lease, JobStatus.FAILED, problem)
            raise

    def _attempt(self, lease: Lease, job: Job, sent: set[tuple[int, str]]) -> JobStatus | None:
        if job.nodes > 1:
            self._send(job.id)  # for the workers of its other nodes
        runner = AttemptRunner(lease, job, sent, self.database, self.settings, self.stopping)
        status = runner.run(self.modules[job.kind])
        if status == JobStatus.QUEUED:
            self._send(job.id)
        return status

    def _send(self, job_id: str) -> None:
        """Give a queued job a message; if the broker is away, the reconciler will."""
        try:
            self.celery.send_task(RUN_JOB_TASK, args=[job_id], task_id=job_id)
        except BrokerError as error:
            log.warning("job %s is queued without a message: %s", job_id, error)
            return
        with self.database.write() as session:
            jobs.mark_enqueued(session, [job_id])


def _new_owner() -> str:
    return f"{worker_name()}:{uuid.uuid4().hex[:8]}"
