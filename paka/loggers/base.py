"""What is asked of a place that takes metrics."""

from collections.abc import Mapping
from typing import Any, Protocol

from paka.run_folder import OutcomeName

Row = Mapping[str, Any]
"""One line of metrics: `step`, and numbers by their names."""


class MetricsLogger(Protocol):
    """Takes a run's metrics, in the process that writes, in the order of their steps."""

    def log(self, row: Row) -> None:
        """Take one line; it must not keep the training waiting."""
        ...

    def close(self, ending: OutcomeName) -> None:
        """Write what has not been written; the training has ended."""
        ...


def numbers(row: Row) -> dict[str, float]:
    """The values of a row that make a curve."""
    left_out = ("step", "total_steps")
    return {name: float(value) for name, value in row.items() if name not in left_out}
