"""Watching a job's process: heartbeat, metrics and checkpoints to the database, stop when asked."""

import logging
import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from paka.files import read_json
from paka.run_folder import EXIT_CODES, RunFolder, list_checkpoints, step_folder
from service.store import attempts, queries
from service.store.attempts import Lease, LeaseLost
from service.store.session import Database, is_away
from service.store.settings import Settings
from service.store.status import Cause
from service.store.tracing import add_span
from service.store.transitions import NewEvent
from worker.notices import Notices
from worker.others import Others
from worker.process import JobProcess
from worker.tail import JsonLines

log = logging.getLogger(__name__)

Ending = Literal["exited", "cancelled", "preempted", "worker_stopped", "node_ended", "lease_lost"]
PAUSE_SECONDS = 0.25
REPORT_SECONDS = 1.0


class Supervisor:
    """One attempt at one job, from its process's start to its end.

    Args:
        process: the job's process, just started.
        run: the folder that it writes.
        lease: the right to write about the job.
        stopping: set when the worker itself should leave.
        sent: step and time of the metrics that the database has of earlier attempts.
        skipped: how many skipped images it knows of from those.
        others: the other nodes, of a job that has several.
    """

    def __init__(
        self,
        process: JobProcess,
        run: RunFolder,
        lease: Lease,
        database: Database,
        settings: Settings,
        stopping: threading.Event,
        sent: set[tuple[int, str]],
        skipped: int = 0,
        others: Others | None = None,
    ) -> None:
        self.process, self.run, self.lease = process, run, lease
        self.database, self.settings, self.stopping = database, settings, stopping
        self.others = others
        self._metrics, self._sent = JsonLines(run.metrics), sent
        self._notices = Notices(run, skipped)
        self._phases = JsonLines(run.phases)
        self._unsent: list[NewEvent] = []
        self._in_doubt = False
        self._progress: dict[str, Any] | None = None
        self._known: dict[int, dict[str, Any]] = {}
        self._cause: Cause | None = None  # why it should leave, by the database
        self._reported_at = time.monotonic()
        # Several heartbeats a lease, so that a late one does not lose it.
        self._report_seconds = min(REPORT_SECONDS, settings.lease_seconds / 3)

    def watch(self) -> Ending:
        """Return how it ended; then neither the process nor anything it has started is left."""
        try:
            return self._watch()
        except LeaseLost as error:
            log.warning("%s; its process is ended", error)
            return "lease_lost"
        finally:
            self.process.kill()

    def _watch(self) -> Ending:
        asked: Ending | None = None
        deadline = patience = float("inf")
        while True:
            ended = self.process.exit_code is not None
            reported = self._report(at_once=ended)
            if ended:
                patience = min(patience, time.monotonic() + 2 * self.settings.lease_seconds)
            if ended and reported and (self._all_told(asked) or time.monotonic() > patience):
                return asked or "exited"
            if asked is None and not ended and (asked := self._asked()):
                deadline = time.monotonic() + self.settings.stop_seconds
                log.info("job %s: %s, waiting for its checkpoint", self.lease.job_id, asked)
                self.process.terminate()
            if time.monotonic() > deadline and not ended:
                log.warning("job %s did not leave in time; it is killed", self.lease.job_id)
                self.process.kill()
            time.sleep(PAUSE_SECONDS)

    def _asked(self) -> Ending | None:
        """Why the process should leave now, if it should."""
        if self._cause == Cause.CANCELLED:
            return "cancelled"
        if self.stopping.is_set():
            return "worker_stopped"
        if self._cause == Cause.PREEMPTED:
            return "preempted"
        return "node_ended" if self.others and self.others.ended_early else None

    def _all_told(self, asked: Ending | None) -> bool:
        """Whether other nodes need not be waited for, to learn why the process has ended."""
        if self.others is None or asked not in (None, "node_ended"):
            return True
        puzzling = self.process.exit_code in (EXIT_CODES["failed"], EXIT_CODES["stopped"])
        return not puzzling or self.others.told

    def _report(self, at_once: bool) -> bool:
        """Tell the database what is new, if it is time to; return whether it was told.

        Raises:
            LeaseLost: the job is another's, or the database was away for as long as a lease lasts.
        """
        self._read_metrics()
        self._trace_phases()
        self._unsent += self._notices.read()
        age = time.monotonic() - self._reported_at
        if not at_once and age < self._report_seconds:
            return False
        try:
            self._write()
        except DBAPIError as error:
            if not is_away(error):
                raise
            if age > self.settings.lease_seconds:
                raise LeaseLost(self.lease) from error
            log.warning("the database does not answer (%s); trying again", error)
            self._in_doubt = True
            return False
        self.process.reassure()
        self._unsent.clear()
        self._in_doubt = False
        self._reported_at = time.monotonic()
        return True

    def _read_metrics(self) -> None:
        """Take up new lines; a run that goes on begins with the lines of earlier attempts."""
        for row in self._metrics.read():
            key = (row["step"], row["time"])
            if key not in self._sent:
                self._sent.add(key)
                self._unsent.append(NewEvent("metrics", "", row, row["step"]))
                self._progress = row

    def _trace_phases(self) -> None:
        for row in self._phases.read():
            add_span(row["phase"], {"paka.step": row["step"]}, row["started_at"], row["seconds"])

    def _write(self) -> None:
        found = self._checkpoints()
        with self.database.write() as session:
            if self._in_doubt:
                self._forget_what_arrived(session)
            cause = attempts.record(
                session,
                self.lease,
                self.settings.lease_seconds,
                self._unsent,
                self._progress,
                self._notices.skipped,
            )
            if self.others:
                self.others.look(session)
            for step in sorted(found.keys() - self._known.keys()):
                folder = step_folder(self.run.checkpoints, step)
                path = str(folder.relative_to(self.settings.artifacts_folder))
                made = datetime.fromisoformat(found[step]["created_at"])
                attempts.add_checkpoint(session, self.lease, step, path, found[step]["files"], made)
            if found.keys() != self._known.keys():
                attempts.forget_checkpoints(session, self.lease.job_id, found)
        self._known, self._cause = found, cause
        self._notices.skipped = None  # until there is more

    def _forget_what_arrived(self, session: Session) -> None:
        """A database that went away during a commit may have kept what it did not confirm."""
        known = queries.metrics_times(session, self.lease.job_id)
        self._unsent = [
            event
            for event in self._unsent
            if event.data is None or (event.step, event.data.get("time")) not in known
        ]

    def _checkpoints(self) -> dict[int, dict[str, Any]]:
        """What meta.json says of each complete checkpoint, by step."""
        found = {}
        for folder in list_checkpoints(self.run.checkpoints):
            step = int(folder.name.removeprefix("step-"))
            # The training process has just removed it; or it is torn, and will be passed over.
            with suppress(FileNotFoundError, ValueError):
                found[step] = self._known.get(step) or read_json(folder / "meta.json")
        return found
