"""One delivery of a job's message: claim the job, run its process, say how it ended."""

import logging
import os
import socket
import threading
import time
import uuid
from typing import Any, NamedTuple

from celery import Celery
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from paka.files import read_json, write_json
from paka.run_folder import EXIT_CODES, Outcome, RunFolder
from service.store import jobs, queries, versions
from service.store.contract import RUN_JOB_TASK
from service.store.ids import new_id
from service.store.jobs import Lease, LeaseLost
from service.store.models import Encoder, Job, JobKind
from service.store.session import Database, is_away
from service.store.settings import Settings
from service.store.status import JobStatus
from service.store.versions import DatabaseVersion
from worker.process import JobProcess, describe_exit
from worker.supervisor import PAUSE_SECONDS, Ending, Supervisor

log = logging.getLogger(__name__)

MODULES: dict[JobKind, str] = {
    "train": "paka.launch",
    "embed": "paka.embed_folder",
    "evaluate": "paka.evaluate",
}


class JobRunner(NamedTuple):
    """What a worker has at hand to run jobs; `stopping` is set when the worker should leave."""

    database: Database
    celery: Celery
    settings: Settings
    stopping: threading.Event
    modules: dict[JobKind, str] = MODULES

    def run(self, job_id: str) -> None:
        """Claim and run a job; a job that is not there to be claimed is left alone.

        So a message that was delivered twice, or late, does nothing.
        """
        owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        with self.database.write() as session:
            if outdated := versions.check(session.connection()):
                log.error("job %s is left alone: %s", job_id, outdated)
                return
            lease = jobs.claim(session, job_id, owner, self.settings.lease_seconds)
            if lease is None:
                log.info("job %s is not queued; its message is passed over", job_id)
                return
            job = session.get_one(Job, job_id)
            sent = queries.metrics_times(session, job_id)
        log.info("job %s: attempt %d", job_id, lease.attempt)
        try:
            self._attempt(lease, job, sent)
        except LeaseLost as error:
            log.warning("%s; nothing was written", error)
        except Exception as error:
            if outdated := DatabaseVersion(self.database).refresh():
                log.error("job %s is left to its next worker: %s", job_id, outdated)
                raise
            with self.database.write() as session:
                message = f"the worker failed: {type(error).__name__}: {error}"
                problem = {"code": "worker_error", "message": message}
                jobs.finish(session, lease, JobStatus.FAILED, problem)
            raise

    def _attempt(self, lease: Lease, job: Job, sent: set[tuple[int, str]]) -> None:
        run = RunFolder(self.settings.job_folder(job.id))
        run.path.mkdir(parents=True, exist_ok=True)
        run.forget_ending()
        write_json(run.config, job.config)
        process = JobProcess(self.modules[job.kind], run.path, job.id, lease.attempt)
        skipped = (job.skipped or {}).get("count", 0)
        supervisor = Supervisor(
            process, run, lease, self.database, self.settings, self.stopping, sent, skipped
        )
        ending = supervisor.watch()
        code = process.exit_code
        if ending != "lease_lost" and code is not None:
            status = self._settle(lease, job, run, ending, code)
            log.info("job %s: attempt %d ended, %s", job.id, lease.attempt, status)
            if status == JobStatus.QUEUED:
                self._send(job.id)

    def _settle(
        self, lease: Lease, job: Job, run: RunFolder, ending: Ending, code: int
    ) -> JobStatus | None:
        """Write how the attempt ended, however often it takes; return the job's new status.

        Raises:
            LeaseLost: the job is another's, or the database was away for as long as a lease lasts.
        """
        outcome = run.read_outcome()
        deadline = time.monotonic() + self.settings.lease_seconds
        while True:
            try:
                return self._end(lease, job, run, ending, outcome, code)
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
    ) -> JobStatus | None:
        with self.database.write() as session:
            # The result is complete before this is said, whatever happened afterwards.
            if outcome and outcome.outcome == "finished":
                self._keep_result(session, job, run)
                jobs.finish(session, lease, JobStatus.SUCCEEDED)
                return JobStatus.SUCCEEDED
            if ending == "cancelled":
                self._keep_result(session, job, run)
                jobs.finish(session, lease, JobStatus.CANCELLED)
                return JobStatus.CANCELLED
            if ending == "worker_stopped":
                return jobs.requeue(session, lease, "the worker was stopped")
            # If one of several training processes was killed, the first one's outcome only says
            # that it could not go on without it; the exit code tells of the killed one.
            if outcome and code == EXIT_CODES[outcome.outcome]:
                if outcome.outcome == "stopped":
                    return jobs.requeue(session, lease, "the job's process was asked to stop")
                problem = {"code": "job_failed", "message": outcome.error}
                self._keep_result(session, job, run)
                jobs.finish(session, lease, JobStatus.FAILED, problem)
                return JobStatus.FAILED
            running = session.get_one(Job, job.id)
            if not (running.attempt == lease.attempt and running.lease_owner == lease.owner):
                raise LeaseLost(lease)
            reason = describe_exit(code)
            return jobs.lose(session, running, reason, self.settings.max_attempts)

    def _keep_result(self, session: Session, job: Job, run: RunFolder) -> None:
        """Offer the encoder that a training made, even if the evaluation after it failed."""
        if job.kind == "train" and (run.final / "meta.json").exists():
            jobs.add_encoder(session, self._encoder(job, run))

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
        """Give the requeued job a message; if the broker is away, the reconciler will."""
        try:
            self.celery.send_task(RUN_JOB_TASK, args=[job_id], task_id=job_id)
        except BrokerError as error:
            log.warning("job %s is queued without a message: %s", job_id, error)
            return
        with self.database.write() as session:
            jobs.mark_enqueued(session, [job_id])
