"""One node's part in a job of several, on a worker that did not claim the job itself."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from paka.files import write_json
from paka.nodes import Node
from paka.run_folder import EXIT_CODES, RunFolder
from service.store import nodes
from service.store.models import NodeEnding
from service.store.nodes import Part, PartLost
from service.store.redact import redact
from service.store.session import Database
from service.store.settings import Settings
from worker.hold import insist
from worker.process import JobProcess, describe_exit
from worker.slots import environment
from worker.supervisor import PAUSE_SECONDS, REPORT_SECONDS
from worker.transfers import PartTransfers

log = logging.getLogger(__name__)


class _Ending(NamedTuple):
    ending: NodeEnding
    problem: str | None


class PartRunner:
    """Runs a part to its end, or to that of its attempt.

    Args:
        part: the right to run it, just taken.
        stopping: set when the worker itself should leave.
    """

    def __init__(
        self, part: Part, database: Database, settings: Settings, stopping: threading.Event
    ) -> None:
        self.part, self.database = part, database
        self.settings, self.stopping = settings, stopping
        self._transfers = PartTransfers(database, settings, part, stopping)
        self._beaten_at = time.monotonic()
        self._pause = min(REPORT_SECONDS, settings.lease_seconds / 3)

    def run(self, module: str, config: dict[str, Any]) -> None:
        """Run the job's module, and say how it ended.

        Args:
            config: the job's.
        """
        part = self.part
        log.info("job %s: attempt %d, node %d", part.job_id, part.attempt, part.rank)
        try:
            self._transfers.prepare()
            self._beaten_at = time.monotonic()
            ending = self._run(module, config)
            self._tell(lambda session: nodes.end(session, part, *ending))
        except PartLost as error:
            log.info("%s; its process is ended", error)
        except Exception as error:
            problem = redact(f"the worker failed: {type(error).__name__}: {error}")
            with suppress(PartLost):
                self._tell(lambda session: nodes.end(session, part, "died", problem))
            raise
        finally:
            self._transfers.finish()

    def _run(self, module: str, config: dict[str, Any]) -> _Ending:
        """Run the module in a folder of this node's own, since hosts may share theirs."""
        part, settings = self.part, self.settings
        run = RunFolder(self._transfers.folder)
        run.path.mkdir(parents=True, exist_ok=True)
        run.forget_ending()
        write_json(run.config, config)
        process = JobProcess(
            module,
            run.path,
            part.job_id,
            part.attempt,
            settings.lease_seconds,
            node_environment(part, config, settings) | settings.reach.to_environment(),
            settings.job_niceness,
            part.rank,
        )
        try:
            code = self._watch(process)
        finally:
            process.kill()
        outcome = run.read_outcome()
        if outcome is None or code != EXIT_CODES[outcome.outcome]:
            if self.stopping.is_set():
                return _Ending("stopped", None)
            return _Ending("died", describe_exit(code))
        return _Ending(outcome.outcome, outcome.error)

    def _watch(self, process: JobProcess) -> int:
        """Return the exit code; when the worker should leave, the process is asked to first."""
        deadline = float("inf")
        while (code := process.exit_code) is None:
            if time.monotonic() - self._beaten_at > self._pause:
                self._tell(lambda session: nodes.beat(session, self.part))
                process.reassure()
            if self.stopping.is_set() and deadline == float("inf"):
                deadline = time.monotonic() + self.settings.stop_seconds
                process.terminate()
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(PAUSE_SECONDS)
        return code

    def _tell(self, write: Callable[[Session], None]) -> None:
        """Write, however often it takes.

        Raises:
            PartLost: the attempt is over, or the database was away for as long as a lease lasts.
        """

        def tell() -> None:
            with self.database.write() as session:
                write(session)

        insist(tell, self._beaten_at + self.settings.lease_seconds, PartLost(self.part))
        self._beaten_at = time.monotonic()


def node_environment(part: Part, config: dict[str, Any], settings: Settings) -> dict[str, str]:
    """What tells a node's process which one it is, and to keep to its slots."""
    runtime = config["runtime"]
    run_id = f"{part.job_id}.{part.attempt}"  # none of an earlier attempt meets those of this one
    node = Node(part.rank, runtime["nodes"], part.rendezvous, run_id)
    processes = runtime["processes"] // runtime["nodes"]
    return environment(part.slot_ids, processes, settings) | node.to_environment()
