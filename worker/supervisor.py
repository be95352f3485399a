"""Watching a job's process: heartbeat, metrics and checkpoints to the database, stop when asked."""

import logging
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import psutil
from sqlalchemy.exc import OperationalError

from paka.files import read_json
from paka.run_folder import RunFolder, list_checkpoints
from service.store import jobs
from service.store.jobs import Lease, LeaseLost, NewEvent
from service.store.session import Database
from service.store.settings import Settings
from worker.process import family, kill
from worker.tail import JsonLines

log = logging.getLogger(__name__)

Ending = Literal["exited", "cancelled", "worker_stopped", "lease_lost"]
_PAUSE_SECONDS = 0.25
_REPORT_SECONDS = 1.0


class Supervisor:
    """One attempt at one job, from its process's start to its end.

    Args:
        process: the job's process, just started.
        run: the folder that it writes.
        lease: the right to write about the job.
        stopping: set when the worker itself should leave.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        run: RunFolder,
        lease: Lease,
        database: Database,
        settings: Settings,
        stopping: threading.Event,
    ) -> None:
        self.process, self.run, self.lease = process, run, lease
        self.database, self.settings, self.stopping = database, settings, stopping
        self._metrics = JsonLines(run.metrics)
        self._unsent: list[NewEvent] = []
        self._progress: dict[str, Any] | None = None
        self._known_steps: set[int] = set()
        self._family: list[psutil.Process] = []
        self._reported_at = time.monotonic()

    def watch(self) -> Ending:
        """Return how it ended; then neither the process nor anything below it is left."""
        try:
            return self._watch()
        except LeaseLost as error:
            log.warning("%s; its process is ended", error)
            return "lease_lost"
        finally:
            kill(self._family)
            self.process.wait()

    def _watch(self) -> Ending:
        asked: Ending | None = None
        deadline = float("inf")
        while True:
            ended = self.process.poll() is not None
            self._family = family(self.process) or self._family
            cancelled = self._report(at_once=ended)
            if ended:
                return asked or "exited"
            if asked is None and (cancelled or self.stopping.is_set()):
                asked = "cancelled" if cancelled else "worker_stopped"
                deadline = time.monotonic() + self.settings.stop_seconds
                log.info("job %s: %s, waiting for its checkpoint", self.lease.job_id, asked)
                self.process.terminate()
            if time.monotonic() > deadline:
                log.warning("job %s did not leave in time; it is killed", self.lease.job_id)
                return asked or "exited"
            time.sleep(_PAUSE_SECONDS)

    def _report(self, at_once: bool) -> bool:
        """Tell the database what is new; return whether the user asked to cancel.

        Raises:
            LeaseLost: the job is another's, or the database was away for as long as a lease lasts.
        """
        for row in self._metrics.read():
            self._unsent.append(NewEvent("metrics", "", row, row["step"]))
            self._progress = row
        age = time.monotonic() - self._reported_at
        if not at_once and age < _REPORT_SECONDS:
            return False
        try:
            cancelled = self._write()
        except OperationalError as error:
            if age > self.settings.lease_seconds:
                raise LeaseLost(self.lease) from error
            log.warning("the database does not answer (%s); trying again", error)
            return False
        self._unsent.clear()
        self._reported_at = time.monotonic()
        return cancelled

    def _write(self) -> bool:
        found = {int(path.name.removeprefix("step-")): path for path in self._checkpoints()}
        with self.database.write() as session:
            cancelled = jobs.record(
                session, self.lease, self.settings.lease_seconds, self._unsent, self._progress
            )
            for step in sorted(found.keys() - self._known_steps):
                meta = read_json(found[step] / "meta.json")
                path = str(found[step].relative_to(self.settings.artifacts_folder))
                made = datetime.fromisoformat(meta["created_at"])
                jobs.add_checkpoint(session, self.lease, step, path, meta["files"], made)
            if found.keys() != self._known_steps:
                jobs.forget_checkpoints(session, self.lease.job_id, found)
        self._known_steps = set(found)
        return cancelled

    def _checkpoints(self) -> list[Path]:
        return list_checkpoints(self.run.checkpoints)
