"""metrics.jsonl in the run's folder: what the service, the command and pictures read."""

from paka.loggers.base import Row
from paka.run_folder import OutcomeName, RunFolder


class JsonLinesLogger:
    """Appends to the file.

    Args:
        after: lines of later steps go, because these steps will be done again.
    """

    def __init__(self, run: RunFolder, after: int) -> None:
        self.run = run
        run.forget_metrics_after(after)

    def log(self, row: Row) -> None:
        """Add one line, with the time."""
        self.run.append_metrics(row)

    def close(self, ending: OutcomeName) -> None:
        """Each line is written when it comes."""
