"""Looks at the processes of a service all the while: two attempts at one job must never meet."""

import threading

import psutil

from tests.chaos.system import Service, marked

PAUSE_SECONDS = 0.5


class Watch:
    """Notes, from `start` to `stop`, jobs of which two attempts were alive at once."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.doubled: dict[str, set[str]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(PAUSE_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once."""
        attempts: dict[str, set[str]] = {}
        for process in marked(self.service.folder):
            try:
                job_id, attempt, *_ = process.environ()["PAKA_ATTEMPT"].split("/")
            except (psutil.Error, KeyError):
                continue
            attempts.setdefault(job_id, set()).add(attempt)
        for job_id, alive in attempts.items():
            if len(alive) > 1:
                self.doubled.setdefault(job_id, set()).update(alive)
