"""A worker looks for itself whether a node of a job waits for it: a message may be lost or late."""

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from service.store import nodes
from service.store.session import Database
from service.store.workers import worker_name

log = logging.getLogger(__name__)


class Summons:
    """Runs what waits for this worker in a thread of its own, where no message has come for it.

    Args:
        run: runs it, and returns when nothing is left to do here.
    """

    def __init__(self, database: Database, run: Callable[[], None]) -> None:
        self._database, self._run = database, run
        self._threads: list[threading.Thread] = []

    def check(self) -> None:
        """Look once; call it every few seconds."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        try:
            with self._database.read() as session:
                waits = nodes.awaits(session, worker_name())
        except SQLAlchemyError as error:
            log.warning("cannot see whether a node waits for this worker: %s", error)
            return
        if waits:
            self._threads.append(threading.Thread(target=self._run, name="summons"))
            self._threads[-1].start()

    def close(self) -> None:
        """Answer who still waits, and wait for what runs; the worker has been told to stop."""
        self.check()
        for thread in self._threads:
            thread.join()
