"""What a job's message wakes: claim the next job, run its process, say how it ended."""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from paka.files import read_json, write_json
from paka.run_folder import Outcome, RunFolder
from service.store import attempts, jobs, measurements, nodes, queries, tracing, versions
from service.store.attempts import Lease, LeaseLost
from service.store.contract import RUN_JOB_TASK
from service.store.dispatch import Claim, claim_next
from service.store.ids import new_id
from service.store.logs import log_context
from service.store.models import Encoder, Job, JobKind
from service.store.places import Worker
from service.store.redact import redact
from service.store.session import Database, is_away
from service.store.settings import Settings
from service.store.status import TERMINAL, Cause, JobStatus
from service.store.versions import DatabaseVersion
from service.store.workers import worker_name
from worker.address import new_rendezvous, node_address
from worker.cluster import only_this_worker
from worker.disk import disk_problem
from worker.gpus import find_gpus
from worker.others import Others
from worker.part import PartRunner, node_environment
from worker.process import JobProcess
from worker.slots import environment
from worker.supervisor import PAUSE_SECONDS, Ending, Supervisor
from worker.verdict import error_of, reason_of_death

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
    their slots, this one first.
    """

    database: Database
    celery: Celery
    settings: Settings
    stopping: threading.Event
    modules: dict[JobKind, str] = MODULES
    workers: Callable[[Settings], list[Worker]] = only_this_worker

    def run(self, job_id: str = "") -> None:
        """Run whatever should run here now, one job after the other, until there is nothing.

        A message only wakes: whichever job it was sent for, the policy says which goes next. So one
        that was delivered twice, or late, does nothing. First come nodes of jobs that other workers
        have claimed, which wait for this one.
        """
        while not self.stopping.is_set():
            if self._run_part():
                continue
            claim = self._claim(job_id)
            if claim.lease is None and claim.next_job_id is not None:
                self.stopping.wait(_ELSEWHERE_SECONDS)
            if claim.next_job_id is not None:
                self._send(claim.next_job_id)
            if claim.lease is None or not self._run(claim.lease):
                return

    def _run_part(self) -> bool:
        """Run a node of a job that another worker has claimed; False if none waits for this one."""
        me = self.workers(self.settings)[0].name
        with self.database.read() as session:
            if versions.check(session.connection()) or not nodes.awaits(session, me):
                return False
        with self.database.write() as session:
            part = nodes.take(session, me, _new_owner())
            if part is None:
                return False
            job = session.get_one(Job, part.job_id)
            missing = nodes.incomplete(session, job.id)
        if missing:
            self._send(job.id)
        runner = PartRunner(part, self.database, self.settings, self.stopping)
        with log_context(job_id=job.id, attempt=part.attempt):
            runner.run(self.modules[job.kind], job.config)
        return True

    def _claim(self, message: str) -> Claim:
        if problem := disk_problem(self.settings):
            log.error("no job is taken: %s", problem)
            return Claim(None, None)
        workers = self.workers(self.settings)
        with tracing.span("claim") as claiming, self.database.write() as session:
            if outdated := versions.check(session.connection()):
                log.error("no job is taken: %s", outdated)
                return Claim(None, None)
            meet = new_rendezvous(node_address(self.settings))
            claim = claim_next(session, workers, self.settings, _new_owner(), meet)
            if claim.lease is None and nodes.incomplete(session, message):
                return Claim(None, message)
            if claiming and claim.lease:
                claiming.set_attribute("paka.job_id", claim.lease.job_id)
            return claim

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
        """Return the job's status afterwards; None if that is not this worker's to say."""
        run = RunFolder(self.settings.job_folder(job.id))
        with self.database.write() as session:
            # This worker may have slept since its claim; then the folder is another's to write.
            attempts.record(session, lease, self.settings.lease_seconds)
        run.path.mkdir(parents=True, exist_ok=True)
        run.forget_ending()
        write_json(run.config, job.config)
        about = self._environment(job) | self.settings.reach.to_environment()
        process = JobProcess(
            self.modules[job.kind],
            run.path,
            job.id,
            lease.attempt,
            self.settings.lease_seconds,
            about,
            self.settings.job_niceness,
        )
        skipped = (job.skipped or {}).get("count", 0)
        others = Others(job.id, self.settings.lease_seconds) if job.nodes > 1 else None
        supervisor = Supervisor(
            process, run, lease, self.database, self.settings, self.stopping, sent, skipped, others
        )
        if others:
            self._send(job.id)
        ending = supervisor.watch()
        code = process.exit_code
        if ending == "lease_lost" or code is None:
            return None
        status = self._settle(lease, job, run, ending, code, others)
        log.info("job %s: attempt %d ended, %s", job.id, lease.attempt, status)
        if status == JobStatus.QUEUED:
            self._send(job.id)
        return status

    def _environment(self, job: Job) -> dict[str, str]:
        """What tells the job's process to keep to its slots, and that it is the first node."""
        if job.nodes > 1:
            with self.database.read() as session:
                part = nodes.first_part(session, job.id)
            return node_environment(part, job.config, self.settings)
        processes = job.config.get("runtime", {}).get("processes", 1)
        return environment(job.slot_ids or [], processes, self.settings)

    def _settle(
        self,
        lease: Lease,
        job: Job,
        run: RunFolder,
        ending: Ending,
        code: int,
        others: Others | None,
    ) -> JobStatus | None:
        """Write how the attempt ended, however often it takes; return the job's new status.

        Raises:
            LeaseLost: the job is another's, or the database was away for as long as a lease lasts.
        """
        outcome = run.read_outcome()
        deadline = time.monotonic() + self.settings.lease_seconds
        while True:
            try:
                return self._end(lease, job, run, ending, outcome, code, others)
            except DBAPIError as error:
                if not is_away(error):
                    raise
                if time.monotonic() > deadline:
                    raise LeaseLost(lease) from error
                log.warning("the database does not answer (%s); trying again", error)
                time.sleep(PAUSE_SECONDS)

    def _end(
        self,
        lease: Lease,
        job: Job,
        run: RunFolder,
        ending: Ending,
        outcome: Outcome | None,
        code: int,
        others: Others | None,
    ) -> JobStatus | None:
        with self.database.write() as session:
            measurements.keep(session, session.get_one(Job, job.id), self._device(job))
            # The result is complete before this is said, whatever happened afterwards.
            if outcome and outcome.outcome == "finished":
                self._keep_result(session, job, run)
                attempts.finish(session, lease, JobStatus.SUCCEEDED)
                return JobStatus.SUCCEEDED
            if ending == "cancelled":
                self._keep_result(session, job, run)
                attempts.finish(session, lease, JobStatus.CANCELLED)
                return JobStatus.CANCELLED
            if ending == "worker_stopped":
                return attempts.requeue(session, lease, "the worker was stopped")
            if ending == "preempted":
                reason = "a more important job needs its place"
                return attempts.requeue(session, lease, reason, Cause.PREEMPTED)
            died = reason_of_death(ending, outcome, code, others)
            if died is None:
                error = error_of(outcome, others)
                if error is None:
                    return attempts.requeue(session, lease, "the job's process was asked to stop")
                problem = {"code": "job_failed", "message": error}
                self._keep_result(session, job, run)
                attempts.finish(session, lease, JobStatus.FAILED, problem)
                return JobStatus.FAILED
            running = session.get_one(Job, job.id)
            if not (running.attempt == lease.attempt and running.lease_owner == lease.owner):
                raise LeaseLost(lease)
            return attempts.lose(session, running, died, self.settings.max_attempts)

    def _device(self, job: Job) -> str:
        """The kind of device that the job ran on."""
        names = {gpu.uuid: gpu.name for gpu in find_gpus()}
        return names.get((job.slot_ids or [""])[0], "cpu")

    def _keep_result(self, session: Session, job: Job, run: RunFolder) -> None:
        """Offer the encoder that a training made, even if the evaluation after it failed."""
        if job.kind == "train" and (run.final / "meta.json").exists():
            attempts.add_encoder(session, self._encoder(job, run))

    def _encoder(self, job: Job, run: RunFolder) -> Encoder:
        meta = read_json(run.final / "meta.json")
        file = meta["files"]["encoder.safetensors"]
        base: dict[str, Any] = job.config["encoder"]
        weights = "" if base["weights"] == "pretrained" else f"@{base['weights']}"
        path = run.final / "encoder.safetensors"
        return Encoder(
            id=new_id("enc"),
            job_id=job.id,
            name=job.name,
            architecture=base["architecture"],
            base=base["architecture"] + weights,
            path=str(path.relative_to(self.settings.artifacts_folder)),
            sha256=file["sha256"],
            bytes=file["bytes"],
            steps=meta["step"],
        )

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
