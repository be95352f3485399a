"""Metrics to an MLflow server, which may be slow, or away, without the training noticing."""

import re
import threading
import time
from collections import deque

from paka.config import TrainConfig
from paka.loggers.base import Row, numbers
from paka.loggers.mlflow_server import Metrics, MlflowRun, load_mlflow
from paka.run_folder import OutcomeName, RunFolder

ADDRESS = "MLFLOW_TRACKING_URI"
"""The variable that names the server, as MLflow itself reads it."""

_MAX_WAITING = 10_000
_RETRY_SECONDS, _CLOSE_SECONDS, _UPLOAD_SECONDS = 30.0, 10.0, 600.0


class MlflowLogger:
    """Keeps what is to be sent, and sends it from a thread of its own.

    What the server does not take is sent again later, up to the end of the run and for
    `_CLOSE_SECONDS` beyond; then it is in metrics.jsonl alone. The user is told once.

    Raises:
        ConfigError: mlflow is not installed.
    """

    def __init__(self, config: TrainConfig, run: RunFolder) -> None:
        self._config, self._run = config, run
        load_mlflow()
        self._waiting: deque[Metrics] = deque(maxlen=_MAX_WAITING)
        self._ending: OutcomeName | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._problem: str | None = None
        self._told = False
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def log(self, row: Row) -> None:
        """Keep a line to be sent."""
        self._waiting.append(Metrics(row["step"], int(time.time() * 1000), numbers(row)))
        # By then loading processes have been forked, and inherit no lock that the thread holds.
        if row["step"] > 0 and self._thread.ident is None:
            self._thread.start()
        self._wake.set()
        self._tell(row["step"])

    def close(self, ending: OutcomeName) -> None:
        """Send the rest and how the run ended, for as long as that may take."""
        self._ending = ending
        self._closing.set()
        self._wake.set()
        if self._thread.ident is None:
            self._thread.start()
        uploads = ending == "finished" and self._config.logging.mlflow_upload
        self._thread.join(_UPLOAD_SECONDS if uploads else _CLOSE_SECONDS)
        if self._thread.is_alive():
            self._problem = self._problem or "it has not answered in time"
        self._tell(self._waiting[-1].step if self._waiting else 0)

    def _tell(self, step: int) -> None:
        """Pass on to the user what the thread has met with."""
        if self._problem and not self._told:
            self._told = True
            self._run.warn(
                step,
                f"MLflow does not take this run's metrics: {self._problem}; the run goes on, they "
                "are in its metrics.jsonl, and are sent once MLflow answers before its end",
            )

    def _work(self) -> None:
        server: MlflowRun | None = None
        ended = False
        while not ended:
            self._wake.wait()
            self._wake.clear()
            # First, for what is logged before the end is there by then.
            ending = self._ending
            ended = ending is not None
            try:
                server = server or MlflowRun(self._config, self._run)
                server.log(list(self._waiting))
                while self._waiting and self._waiting[0].step <= server.sent:
                    self._waiting.popleft()
                if ending is not None:
                    server.end(ending)
            except Exception as error:  # whatever it is, the training goes on
                self._problem = self._problem or _describe(error)
                self._closing.wait(_RETRY_SECONDS)
                self._wake.set()


def _describe(error: Exception) -> str:
    """An error in a line, without the password that an address may hold."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"//[^/@\s]+@", "//", line)[:500] or type(error).__name__
