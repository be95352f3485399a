"""All places to which a run's metrics go, as one."""

import logging
import os
from types import TracebackType
from typing import Self

from paka.config import TrainConfig
from paka.loggers.base import MetricsLogger, Row
from paka.loggers.jsonl import JsonLinesLogger
from paka.loggers.mlflow import ADDRESS, MlflowLogger
from paka.loggers.tensorboard import TensorBoardLogger
from paka.run_folder import OutcomeName, RunFolder

log = logging.getLogger(__name__)


class RunLoggers:
    """metrics.jsonl, and what the settings ask for beside it; open for as long as the run lasts.

    An error of metrics.jsonl ends the run. One of the others is told once, and that one is not
    asked again.

    Args:
        after: the last step that will not be done again, -1 for a run from the start.
        writes: this process is the one that writes; the others log nothing.

    Attributes:
        ending: what the others are told of the run; `failed` unless it is set.

    Raises:
        ConfigError: a package that the settings take is not installed.
    """

    def __init__(self, config: TrainConfig, run: RunFolder, after: int, writes: bool) -> None:
        self.run = run
        self.ending: OutcomeName = "failed"
        self._main = JsonLinesLogger(run, after) if writes else None
        self._others = _others(config, run, after) if writes else []

    def log(self, row: Row) -> None:
        """Take a line."""
        if self._main:
            self._main.log(row)
        for logger in list(self._others):
            try:
                logger.log(row)
            except Exception as error:
                self._others.remove(logger)
                self._tell(row["step"], logger, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for logger in self._others:
            try:
                logger.close(self.ending)
            except Exception as error:
                self._tell(0, logger, error)

    def _tell(self, step: int, logger: MetricsLogger, error: Exception) -> None:
        name = type(logger).__name__.removesuffix("Logger")
        log.exception("%s", name)
        self.run.warn(step, f"{name} takes no more metrics ({error}); metrics.jsonl has them all")


def _others(config: TrainConfig, run: RunFolder, after: int) -> list[MetricsLogger]:
    loggers: list[MetricsLogger] = []
    if config.logging.tensorboard:
        loggers.append(TensorBoardLogger(config, run, after))
    if config.logging.mlflow and os.environ.get(ADDRESS):
        loggers.append(MlflowLogger(config, run))
    elif config.logging.mlflow:
        missing = f"{ADDRESS} is not set where the training runs, so MLflow gets no metrics"
        run.warn(max(after, 0), missing)
    return loggers
