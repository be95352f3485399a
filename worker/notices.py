"""What a run says beside its metrics: which images it skips, and what else its user should know."""

from typing import Any

from paka.files import read_json_lines
from paka.run_folder import RunFolder
from service.store.transitions import NewEvent
from worker.tail import JsonLines

# Of the skipped images: so many are listed with the job, and become events.
LISTED = 100


class Notices:
    """Follows a run's warnings and its list of skipped images.

    Args:
        told: skipped images that the database knows of from earlier attempts.
    """

    def __init__(self, run: RunFolder, told: int) -> None:
        self._run, self._told = run, told
        self._warnings = JsonLines(run.warnings)
        self._seen: tuple[int, int] | None = None
        self.skipped: dict[str, Any] | None = None

    def read(self) -> list[NewEvent]:
        """What is new, as events; `skipped` then holds the count and the list, if that is new."""
        events = [
            NewEvent("message", row["message"], None, row["step"], "warning")
            for row in self._warnings.read()
        ]
        return events + self._read_skipped()

    def _read_skipped(self) -> list[NewEvent]:
        if not self._run.skipped.exists():
            return []
        status = self._run.skipped.stat()
        if (status.st_ino, status.st_size) == self._seen:
            return []
        self._seen = (status.st_ino, status.st_size)
        rows = read_json_lines(self._run.skipped)
        new = rows[min(self._told, len(rows)) : LISTED]
        self._told = len(rows)
        self.skipped = {"count": len(rows), "images": rows[:LISTED]}
        return [
            NewEvent("message", f"skipped {row['image']}: {row['reason']}", row, level="warning")
            for row in new
        ]
