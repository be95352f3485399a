"""The folder of one run: what its process writes, and where the outside looks.

config.json            the settings
metrics.jsonl          one line per logged step
warnings.jsonl         what the user of this process should know
phases.jsonl           when each part of the work beside the steps began, and how long it took
skipped.jsonl          images that cannot be read, see `paka.data.unreadable`
outcome.json           how the process ended by itself; absent while it runs, or if it was killed
lock                   held by the process that writes here
checkpoints/step-…/    see `paka.checkpoint`
final/                 the result of a training
features/              the result of an embedding
tensorboard/           event files, if they were asked for
mlflow.json            the id of the run at an MLflow server, if one was asked for
evaluation/            a run folder of its own: the evaluation that followed, if one was asked for
"""

import fcntl
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from paka.errors import TrainingError
from paka.files import (
    read_json,
    read_json_lines,
    remove_leftovers,
    replacing,
    try_append_json_line,
    write_json,
)

log = logging.getLogger(__name__)

OutcomeName = Literal["finished", "stopped", "failed"]
EXIT_CODES: dict[OutcomeName, int] = {"finished": 0, "failed": 1, "stopped": 3}


class Outcome(NamedTuple):
    """How a process ended by itself."""

    outcome: OutcomeName
    step: int
    error: str | None = None


class RunFolder:
    """Paths of a run, and the small files that go with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.warnings = path / "warnings.jsonl"
        self.phases = path / "phases.jsonl"
        self.skipped = path / "skipped.jsonl"
        self.outcome = path / "outcome.json"
        self.checkpoints = path / "checkpoints"
        self.final = path / "final"
        self.features = path / "features"
        self.tensorboard = path / "tensorboard"
        self.mlflow = path / "mlflow.json"
        self.evaluation = path / "evaluation"

    @contextmanager
    def locked(self, wait_seconds: float = 60.0) -> Iterator[None]:
        """Hold the run for this process; an earlier one may need a moment to leave.

        What killed processes left half-written is removed.

        Raises:
            TrainingError: another process still holds it after `wait_seconds`.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as handle:
            deadline = time.monotonic() + wait_seconds
            while not _try_lock(handle.fileno()):
                if time.monotonic() > deadline:
                    raise TrainingError(f"another process is writing to {self.path}; stop it first")
                time.sleep(0.1)
            for folder in (self.path, self.checkpoints, self.features, self.evaluation):
                remove_leftovers(folder)
            yield

    def write_outcome(self, outcome: Outcome) -> None:
        """Say how the process ended."""
        write_json(self.outcome, outcome._asdict())

    def read_outcome(self) -> Outcome | None:
        """How the last process ended; None if it is running or was killed."""
        return Outcome(**read_json(self.outcome)) if self.outcome.exists() else None

    def forget_ending(self) -> None:
        """Remove what an earlier process said that ended: outcome, warnings and phases."""
        for file in (self.outcome, self.warnings, self.phases):
            file.unlink(missing_ok=True)

    def warn(self, step: int, message: str) -> None:
        """Tell the user of something that does not end the run."""
        log.warning("%s", message)
        try_append_json_line(self.warnings, {"step": step, "message": message})

    @contextmanager
    def phase(self, name: str, step: int) -> Iterator[None]:
        """Note the time that the block takes, if it comes to its end."""
        started_at, started = time.time(), time.monotonic()
        yield
        row = {"phase": name, "step": step, "started_at": started_at}
        try_append_json_line(self.phases, {**row, "seconds": time.monotonic() - started})

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one line, with the time."""
        try_append_json_line(self.metrics, {**row, "time": datetime.now(UTC).isoformat()})

    def read_metrics(self) -> list[dict[str, Any]]:
        """All complete lines."""
        return read_json_lines(self.metrics)

    def forget_metrics_after(self, step: int) -> None:
        """Drop the lines of steps that will be done again."""
        rows = [row for row in self.read_metrics() if row["step"] <= step]
        with replacing(self.metrics) as aside:
            aside.write_text("".join(json.dumps(row) + "\n" for row in rows))


def step_folder(checkpoints: Path, step: int) -> Path:
    """The folder of the checkpoint at `step`."""
    return checkpoints / f"step-{step:08d}"


def list_checkpoints(checkpoints: Path) -> list[Path]:
    """Folders of the complete checkpoints, by step."""
    return sorted(path.parent for path in checkpoints.glob("step-*/meta.json"))


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
