"""Making room from time to time, in one of the API's processes."""

import logging
import threading

from service.retention.collect import collect, measure
from service.retention.policy import Policy
from service.store import chores
from service.store.session import Database
from service.store.settings import Settings
from service.store.versions import DatabaseVersion

log = logging.getLogger(__name__)

_LOOK_SECONDS = 60.0


class Collector:
    """Measures what ended jobs have left, and makes room if the settings have any limit, in a
    thread from `start` to `stop`.

    It is not the reconciler's thread: removing much takes long, and lost jobs cannot wait for it.
    """

    def __init__(self, database: Database, settings: Settings, version: DatabaseVersion) -> None:
        self._database, self._settings, self._version = database, settings, version
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being removed is removed first."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        pause = min(self._settings.retention_seconds, _LOOK_SECONDS)
        while not self._stopped.wait(pause):
            try:
                if self._version.problem is None:
                    self._work(pause)
            except Exception:  # the disk's or the database's; the next time may be better
                log.exception("could not make room")

    def _work(self, pause: float) -> None:
        if chores.take(self._database, "measure", pause):
            measure(self._database, self._settings)
        if not Policy.of(self._settings).is_set:
            return
        if chores.take(self._database, "collect", self._settings.retention_seconds):
            done = collect(self._database, self._settings, None, dry_run=False)
            log.info("made room: %d removed, %d bytes", len(done.removed), done.bytes)
