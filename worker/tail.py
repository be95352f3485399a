"""Following a file of JSON lines while another process writes it."""

import json
import os
from pathlib import Path
from typing import Any


class JsonLines:
    """Returns the lines that have come since it was last asked.

    A last line without its end waits for it. A file that was replaced (a resumed run drops the
    lines of steps that it will do again) is read from its start; who follows must bear repeats.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode = 0
        self._offset = 0

    def read(self) -> list[dict[str, Any]]:
        """Return the new complete lines; none if there is no file yet."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._inode or status.st_size < self._offset:
                self._inode, self._offset = status.st_ino, 0
            file.seek(self._offset)
            complete, _, _ = file.read().rpartition(b"\n")
        self._offset += len(complete) + 1 if complete else 0
        return [json.loads(line) for line in complete.splitlines()]
