"""Bytes by key in a file of bounded size, which several processes may share."""

import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

TOUCH_SECONDS = 60
"""Being used again within this time is not noted: most reads write nothing."""

_WAIT_SECONDS = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY, used_at REAL NOT NULL, value BLOB NOT NULL, size INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_used_at ON entries (used_at, size);
CREATE TABLE IF NOT EXISTS total (size INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
CREATE TRIGGER IF NOT EXISTS entry_added AFTER INSERT ON entries
BEGIN UPDATE total SET size = size + NEW.size; END;
CREATE TRIGGER IF NOT EXISTS entry_removed AFTER DELETE ON entries
BEGIN UPDATE total SET size = size - OLD.size; END;
"""


class LruFile:
    """What was not used for longest leaves, so that all values together take `limit` bytes at most.

    It is SQLite's, whose transactions keep it whole when a process is killed. The database's own
    pages take some more, a few per cent and some MB.

    Raises:
        sqlite3.Error: the file cannot be made or used. One that is damaged is replaced.
    """

    def __init__(self, path: Path, limit: int) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._limit, self._lock = limit, threading.Lock()
        try:
            self._connection = _open(path)
        except sqlite3.OperationalError:  # locked, or no room
            raise
        except sqlite3.DatabaseError:
            path.unlink()
            self._connection = _open(path)
        self.put({})  # the limit may have been higher

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return what there is of these keys."""
        found: dict[bytes, bytes] = {}
        now = time.time()
        with self._lock:
            for key in keys:
                query = "SELECT value, used_at FROM entries WHERE key = ?"
                if row := self._connection.execute(query, (key,)).fetchone():
                    found[key] = row[0]
                    if now - row[1] >= TOUCH_SECONDS:
                        change = "UPDATE entries SET used_at = ? WHERE key = ?"
                        self._connection.execute(change, (now, key))
        return found

    def put(self, values: Mapping[bytes, bytes]) -> int:
        """Keep values, and return how many others had to leave; larger ones than all are left."""
        rows = [
            (key, time.time(), value, len(value))
            for key, value in values.items()
            if len(value) <= self._limit
        ]
        gone = 0
        with self._lock, self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?)", rows)
            while self._size() > self._limit:
                oldest = "SELECT key FROM entries ORDER BY used_at LIMIT 1"
                connection.execute(f"DELETE FROM entries WHERE key = ({oldest})")  # noqa: S608
                gone += 1
        return gone

    def size(self) -> int:
        """Bytes of all values together."""
        with self._lock:
            return self._size()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _size(self) -> int:
        return int(self._connection.execute("SELECT size FROM total").fetchone()[0])


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # what is lost is computed again
        connection.execute(f"PRAGMA journal_size_limit = {2**22}")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
