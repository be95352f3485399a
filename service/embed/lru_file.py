"""Bytes by key in a file of bounded size, which several processes may share."""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

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
CREATE TRIGGER IF NOT EXISTS entry_changed AFTER UPDATE OF size ON entries
BEGIN UPDATE total SET size = size + NEW.size - OLD.size; END;
CREATE TRIGGER IF NOT EXISTS entry_removed AFTER DELETE ON entries
BEGIN UPDATE total SET size = size - OLD.size; END;
"""
_PUT = """
INSERT INTO entries VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
SET used_at = excluded.used_at, value = excluded.value, size = excluded.size
"""


class LruFile:
    """What was not used for longest leaves, so that all values together take `limit` bytes at most.

    It is SQLite's, whose transactions keep it whole when a process is killed or the power fails.
    The database's own pages take some more, a few per cent and some MB. One that is damaged, or
    larger than it may be when it is opened, is replaced by an empty one.

    Raises:
        OSError: its folder cannot be made.
        sqlite3.Error: the file cannot be made or used.
    """

    def __init__(self, path: Path, limit: int) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path, self._limit, self._lock = path, limit, threading.Lock()
        self._connect()
        try:
            with self._in_use():
                self._prepare()
                if self._size() > limit:  # it was higher, and SQLite's files never shrink
                    self._replace()
        except sqlite3.Error:
            self.close()
            raise

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return what there is of these keys."""
        found: dict[bytes, bytes] = {}
        now = time.time()
        with self._in_use():
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
        with self._in_use(), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_PUT, rows)
            while self._size() > self._limit:
                oldest = "SELECT key FROM entries ORDER BY used_at LIMIT 1"
                change = f"DELETE FROM entries WHERE key = ({oldest})"  # noqa: S608
                if not connection.execute(change).rowcount:
                    raise sqlite3.DatabaseError("nothing is left, and yet its total is too large")
                gone += 1
        return gone

    def size(self) -> int:
        """Bytes of all values together."""
        with self._in_use():
            return self._size()
        return 0  # it has just been replaced

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """The file for one thread alone; if it turns out to be damaged, it begins anew."""
        with self._lock:
            try:
                yield
            except sqlite3.DatabaseError as error:
                # Its subclasses tell of other things: a full disk, a lock, a mistake of ours.
                if type(error) is not sqlite3.DatabaseError:
                    raise
                log.warning("%s is damaged (%s) and is replaced", self._path, error)
                self._replace()

    def _replace(self) -> None:
        # Unless another process has done so, which then uses the new one.
        if self._path.exists() and self._path.stat().st_ino == self._inode:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        self._connection.close()
        self._connect()
        self._prepare()

    def _connect(self) -> None:
        self._connection = sqlite3.connect(
            self._path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._inode = self._path.stat().st_ino

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        # Without any sync a key could have another one's value after the power failed.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(f"PRAGMA journal_size_limit = {2**22}")
        self._connection.executescript(_SCHEMA)

    def _size(self) -> int:
        return int(self._connection.execute("SELECT size FROM total").fetchone()[0])
