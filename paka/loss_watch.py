"""Watching a run's loss: it must stay finite, and must not grow for good."""

import math
from typing import Any

# Intervals in a row: a single one may be a few odd images.
_PATIENCE = 3
# The first steps are these at least: in a single batch the loss may be a quarter of what it is.
_FIRST_STEPS = 10


class LossWatch:
    """Judges the mean loss of one logging interval after another.

    Args:
        factor: a loss beyond this many times that of the first steps is too large; None: none is.
        log_every: steps of an interval; the first steps are those of the first one, or ten.
    """

    def __init__(self, factor: float | None, log_every: int) -> None:
        self.factor, self.first_steps = factor, max(log_every, _FIRST_STEPS)
        self._first_sum, self._first_seen = 0.0, 0
        self._too_large = 0
        self.sound_step = 0  # up to which the loss was as it should be

    def problem(self, loss: float, step: int, steps: int) -> str | None:
        """What is wrong with the mean `loss` of the `steps` steps up to `step`; None if nothing."""
        if not math.isfinite(loss):
            return f"the loss is {loss} within the steps up to {step}"
        if self._first_seen < self.first_steps:
            self._first_sum, self._first_seen = (
                self._first_sum + loss * steps,
                self._first_seen + steps,
            )
        first = self._first_sum / self._first_seen
        if self.factor is None or loss <= self.factor * first:
            self._too_large, self.sound_step = 0, step
            return None
        self._too_large += 1
        if self._too_large < _PATIENCE:
            return None
        return (
            f"the loss diverges: {loss:.4g} at step {step}, and for {_PATIENCE} log lines more "
            f"than {self.factor:g} (runtime.divergence) times the {first:.4g} of the first "
            f"{self._first_seen} steps"
        )

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {
            "first_sum": self._first_sum,
            "first_seen": self._first_seen,
            "too_large": self._too_large,
            "sound_step": self.sound_step,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self._first_sum, self._first_seen = state["first_sum"], state["first_seen"]
        self._too_large, self.sound_step = state["too_large"], state["sound_step"]
