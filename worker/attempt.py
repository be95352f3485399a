"""One attempt at a job, on the worker that claimed it: its files, its process, how it ended."""

import logging
import threading

from paka.errors import EncoderError
from paka.files import is_disk_full, write_json
from paka.run_folder import RunFolder
from service.store import attempts, nodes
from service.store.attempts import Lease
from service.store.bucket import BucketError
from service.store.models import Job
from service.store.session import Database
from service.store.settings import Settings
from service.store.status import JobStatus
from worker.others import Others
from worker.part import node_environment
from worker.process import JobProcess
from worker.settle import End, Settlement
from worker.slots import environment
from worker.supervisor import Ending, Supervisor
from worker.transfers import Transfers

log = logging.getLogger(__name__)


class AttemptRunner:
    """Runs an attempt to its end.

    Args:
        lease: the right to it, just claimed.
        job: as it was claimed.
        sent: step and time of the metrics that the database has of earlier attempts.
        stopping: set when the worker itself should leave.
    """

    def __init__(
        self,
        lease: Lease,
        job: Job,
        sent: set[tuple[int, str]],
        database: Database,
        settings: Settings,
        stopping: threading.Event,
    ) -> None:
        self.lease, self.job, self.sent = lease, job, sent
        self.database, self.settings, self.stopping = database, settings, stopping
        self._run_folder = RunFolder(settings.job_folder(job.id))
        self._transfers = Transfers(database, settings, lease, stopping)
        self._others = Others(job.id, settings.lease_seconds) if job.nodes > 1 else None
        self._settlement = Settlement(lease, job, database, settings, stopping)

    def run(self, module: str) -> JobStatus | None:
        """Run the job's module; return the job's status afterwards, None if that is not this
        worker's to say.

        Raises:
            LeaseLost: the job is another's, or the database was away for as long as a lease lasts.
        """
        with self.database.write() as session:
            # This worker may have slept since its claim; then the folder is another's to write.
            attempts.record(session, self.lease, self.settings.lease_seconds)
        try:
            self._prepare()
        except (BucketError, EncoderError) as error:
            return self._settlement.not_begun(error)
        except OSError as error:
            if not is_disk_full(error):
                raise
            return self._settlement.not_begun(error)
        process = self._start(module)
        ending, code = self._watch(process), process.exit_code
        if ending == "lease_lost" or code is None:
            return None
        unsaved = self._transfers.finish()
        outcome = self._run_folder.read_outcome()
        status = self._settlement.settle(End(ending, outcome, code, self._others, unsaved))
        log.info("job %s: attempt %d ended, %s", self.job.id, self.lease.attempt, status)
        if unsaved is None:
            self._transfers.clear()
        return status

    def _prepare(self) -> None:
        """Have the folder as the process should find it."""
        config, run = self._transfers.prepare(self.job.config), self._run_folder
        run.path.mkdir(parents=True, exist_ok=True)
        run.forget_ending()
        write_json(run.config, config)

    def _start(self, module: str) -> JobProcess:
        return JobProcess(
            module,
            self._run_folder.path,
            self.job.id,
            self.lease.attempt,
            self.settings.lease_seconds,
            self._environment() | self.settings.reach.to_environment(),
            self.settings.job_niceness,
        )

    def _watch(self, process: JobProcess) -> Ending:
        supervisor = Supervisor(
            process,
            self._run_folder,
            self.lease,
            self.database,
            self.settings,
            self.stopping,
            self.sent,
            (self.job.skipped or {}).get("count", 0),
            self._others,
        )
        with self._transfers.while_running():
            return supervisor.watch()

    def _environment(self) -> dict[str, str]:
        """What tells the job's process to keep to its slots, and that it is the first node."""
        if self.job.nodes > 1:
            with self.database.write() as session:
                part = nodes.begin(session, self.lease)
            return node_environment(part, self.job.config, self.settings)
        processes = self.job.config.get("runtime", {}).get("processes", 1)
        return environment(self.job.slot_ids or [], processes, self.settings)
