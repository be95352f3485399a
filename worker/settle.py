"""Writing to the database what an attempt comes to, and the encoder that it made."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy.orm import Session

from paka.errors import EncoderError
from paka.run_folder import Outcome
from service.store import attempts, measurements
from service.store.attempts import Lease, LeaseLost
from service.store.bucket import BucketError
from service.store.models import Job
from service.store.redact import redact
from service.store.session import Database
from service.store.settings import Settings
from service.store.status import Cause, JobStatus
from worker.gpus import find_gpus
from worker.hold import insist
from worker.others import Others
from worker.result import encoder_of
from worker.supervisor import Ending
from worker.verdict import error_of, reason_of_death


class End(NamedTuple):
    """How an attempt's process ended.

    `others` are the other nodes of a job that has several; `unsaved` says why what the attempt made
    is not in the bucket, if it is not.
    """

    ending: Ending
    outcome: Outcome | None
    code: int
    others: Others | None
    unsaved: str | None


class Settlement:
    """The end of one attempt.

    Args:
        job: as it was claimed.
        stopping: set when the worker itself should leave.
    """

    def __init__(
        self,
        lease: Lease,
        job: Job,
        database: Database,
        settings: Settings,
        stopping: threading.Event,
    ) -> None:
        self.lease, self.job = lease, job
        self.database, self.settings, self.stopping = database, settings, stopping

    def not_begun(self, error: BucketError | EncoderError | OSError) -> JobStatus | None:
        """End an attempt whose files could not be had; return the job's new status.

        Raises:
            LeaseLost: as for `settle`.
        """
        message = redact(str(error))

        def write(session: Session) -> JobStatus | None:
            if not isinstance(error, EncoderError):
                return self._give_back(session, message)
            problem = {"code": "encoder_unavailable", "message": message}
            attempts.finish(session, self.lease, JobStatus.FAILED, problem)
            return JobStatus.FAILED

        return self._write(write)

    def settle(self, end: End) -> JobStatus | None:
        """Write how the attempt ended, however often it takes; return the job's new status.

        Raises:
            LeaseLost: the job is another's, or the database was away for as long as a lease lasts.
        """
        return self._write(lambda session: self._end(session, end))

    def _write(self, write: Callable[[Session], JobStatus | None]) -> JobStatus | None:
        def within_a_transaction() -> JobStatus | None:
            with self.database.write() as session:
                return write(session)

        deadline = time.monotonic() + self.settings.lease_seconds
        return insist(within_a_transaction, deadline, LeaseLost(self.lease))

    def _end(self, session: Session, end: End) -> JobStatus | None:
        if end.unsaved:  # whatever it came to, it counts only once all hosts can see it
            return self._give_back(session, redact(end.unsaved))
        measurements.keep(session, session.get_one(Job, self.job.id), self._device())
        # The result is complete before this is said, whatever happened afterwards.
        if end.outcome and end.outcome.outcome == "finished":
            return self._finish(session, JobStatus.SUCCEEDED)
        if end.ending == "cancelled":
            return self._finish(session, JobStatus.CANCELLED)
        if end.ending == "worker_stopped":
            return attempts.requeue(session, self.lease, "the worker was stopped")
        if end.ending == "preempted":
            reason = "a more important job needs its place"
            return attempts.requeue(session, self.lease, reason, Cause.PREEMPTED)
        died = reason_of_death(end.ending, end.outcome, end.code, end.others)
        if died is not None:
            return self._lose(session, died)
        error = error_of(end.outcome, end.others)
        if error is None:
            return attempts.requeue(session, self.lease, "the job's process was asked to stop")
        return self._finish(session, JobStatus.FAILED, error)

    def _finish(self, session: Session, status: JobStatus, error: str | None = None) -> JobStatus:
        """End the job; a training's encoder is offered even if the evaluation after it failed."""
        if encoder := encoder_of(self.job, self.settings):
            attempts.add_encoder(session, encoder)
        problem = {"code": "job_failed", "message": error} if error is not None else None
        attempts.finish(session, self.lease, status, problem)
        return status

    def _give_back(self, session: Session, reason: str) -> JobStatus | None:
        """Queue the job again; an attempt is lost unless there was no more time to try."""
        if self.stopping.is_set() or session.get_one(Job, self.job.id).preempt_requested:
            return attempts.requeue(session, self.lease, reason)
        return self._lose(session, reason)

    def _lose(self, session: Session, reason: str) -> JobStatus | None:
        running = session.get_one(Job, self.lease.job_id)
        if not (running.attempt == self.lease.attempt and running.lease_owner == self.lease.owner):
            raise LeaseLost(self.lease)
        return attempts.lose(session, running, reason, self.settings.max_attempts)

    def _device(self) -> str:
        """The kind of device that the job ran on."""
        names = {gpu.uuid: gpu.name for gpu in find_gpus()}
        return names.get((self.job.slot_ids or [""])[0], "cpu")
