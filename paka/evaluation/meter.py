"""How far an evaluation is, for those who look on; and where it leaves when asked to."""

import time

from paka.process import StopFlag
from paka.run_folder import RunFolder

STEPS = 100  # of a part, whatever it is
_ROW_SECONDS = 1.0


class Stopped(Exception):
    """The evaluation was asked to stop; what is done is kept."""


class Meter:
    """Writes rows to a run's metrics.jsonl, one a second at most, with ever larger steps."""

    def __init__(self, run: RunFolder, parts: int, stop: StopFlag) -> None:
        self.run, self.stop = run, stop
        self.step, self.total = 0, parts * STEPS
        self._part, self._about = 0, {"encoder": "", "part": ""}
        self._written_at = float("-inf")
        self._from, self._since = 0, time.monotonic()
        rows = run.read_metrics()
        goes_on = bool(rows) and rows[-1]["total_steps"] == self.total > rows[-1]["step"]
        self._written = rows[-1]["step"] if goes_on else -1
        if not goes_on:
            run.forget_metrics_after(-1)

    def begin(self, encoder: str, part: str) -> None:
        """A part begins.

        Raises:
            Stopped: the stop flag is set.
        """
        self._about = {"encoder": encoder, "part": part}
        self.update(0, 1)

    def update(self, done: int, total: int) -> None:
        """`done` of `total` of the part are done.

        Raises:
            Stopped: the stop flag is set.
        """
        if self.stop:
            raise Stopped
        self._write(self._part * STEPS + STEPS * done // max(total, 1))

    def end(self) -> None:
        """The part is done."""
        self._part += 1
        self._write(self._part * STEPS)

    def skip(self) -> None:
        """A part was done by an earlier process."""
        self._part += 1
        self.step = self._from = self._part * STEPS
        self._since = time.monotonic()

    def _write(self, step: int) -> None:
        self.step, now = step, time.monotonic()
        early = now - self._written_at < _ROW_SECONDS and step < self.total
        if step <= self._written or early:
            return
        self._written, self._written_at = step, now
        speed = (step - self._from) / max(now - self._since, 1e-6)
        left = {"eta_seconds": (self.total - step) / speed} if speed else {}
        row = {"step": step, "total_steps": self.total, **self._about, **left}
        self.run.append_metrics(row)
