"""Taking a backup: the rows of one moment, and the files that they name."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from paka.files import read_json, replacing
from paka.run_folder import RunFolder, list_checkpoints
from service.backup import BackupError
from service.backup.manifest import ABOUT, CHECKSUMS, FORMAT, About, Checksums
from service.backup.tables import Row, read_lines, read_rows, tables_of, write_lines
from service.backup.writer import ChangedError, TarWriter
from service.store.migrate import revision_of
from service.store.session import make_engine
from service.store.settings import Settings
from service.store.status import TERMINAL

SECRET = "secret.key"  # noqa: S105  a file's name
_SKIPPED = ("checkpoints", "lock")

Progress = Callable[[int, int], None]
"""Told the bytes that are done, and all that there will be."""


class Made(NamedTuple):
    """A backup that was made; `left_out` says what went or changed while it was read."""

    rows: dict[str, int]
    files: int
    bytes: int
    has_secret: bool
    left_out: list[str]


def backup(
    settings: Settings,
    target: Path,
    *,
    checkpoints: bool = True,
    uploads: bool = True,
    progress: Progress = lambda done, total: None,
) -> Made:
    """Write a backup to `target`, which it replaces in one piece once it is complete.

    Args:
        checkpoints: without them jobs that have not ended begin anew after a restore.
        uploads: also take the data sets that users sent.

    Raises:
        BackupError: the database or the disk does not let it be made; there is no new file.
    """
    if not target.parent.is_dir():
        raise BackupError(f"there is no folder {target.parent}")
    try:
        with (
            replacing(target) as aside,
            os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
            tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as spool,
            ExitStack() as held,
        ):
            snapshot = _Snapshot(settings, Path(spool), checkpoints)
            snapshot.take()
            snapshot.hold(held)
            work = _Backup(settings, snapshot, TarWriter(file), progress)
            return work.write(uploads)
    except DBAPIError as error:
        raise BackupError(f"the database cannot be read: {str(error.orig).strip()}") from error
    except OSError as error:
        raise BackupError(f"no backup was made: {error}") from error


class _Snapshot:
    """The rows of one moment, on disk in the folder `spool`, and what they say of files."""

    def __init__(self, settings: Settings, spool: Path, checkpoints: bool) -> None:
        self.settings, self.spool, self.with_checkpoints = settings, spool, checkpoints
        self.rows: dict[str, int] = {}
        self.jobs: list[str] = []
        self.unfinished: set[str] = set()
        self.checkpoints: list[Row] = []
        self.encoders: list[Row] = []
        self.held: dict[Path, IO[bytes]] = {}
        self.pruned: set[int] = set()

    def take(self) -> None:
        """Read all tables in one transaction, which sees what was committed before it began."""
        with _one_moment(self.settings.database) as connection:
            self.created = datetime.now(UTC)
            revision = revision_of(connection)
            if revision is None:
                raise BackupError("the database has no tables: there is nothing to save")
            self.revision = revision
            self.tables = tables_of(connection)
            for table in self.tables:
                rows = self._noted(table.name, read_rows(connection, table))
                self.rows[table.name] = write_lines(self.file(table.name), rows)
        if self.settings.artifacts_url is not None:
            # Their files stay in the bucket, whose copies are its own business; all rows are kept.
            self.jobs, self.checkpoints, self.encoders, self.unfinished = [], [], [], set()
        # Those that may still be trained come first: their checkpoints are pruned.
        self.jobs.sort(key=lambda job_id: (job_id not in self.unfinished, job_id))

    def file(self, table: str) -> Path:
        """Where a table's rows are."""
        return self.spool / f"{table}.jsonl"

    def hold(self, stack: ExitStack) -> None:
        """Open the checkpoints of unfinished jobs, which their training prunes: an open file can be
        read when it is removed. What the disk has counts: the rows are a moment behind.
        """
        if not self.with_checkpoints:
            return
        pruned = {row["path"]: row for row in self.checkpoints if row["job_id"] in self.unfinished}
        self.checkpoints = [row for row in self.checkpoints if row["path"] not in pruned]
        for job_id in sorted(self.unfinished):
            folders = list_checkpoints(RunFolder(self.settings.job_folder(job_id)).checkpoints)
            for folder in reversed(folders):
                if found := self._open(job_id, folder, stack):
                    row = pruned.pop(found["path"], None)
                    self.checkpoints.append(found | {"id": row and row["id"]})
        self.pruned = {row["id"] for row in pruned.values()}

    def _open(self, job_id: str, folder: Path, stack: ExitStack) -> Row | None:
        """Hold a checkpoint's files, and return what a row would say; None if it has just gone."""
        try:
            meta = read_json(folder / "meta.json")
            path = str(folder.relative_to(self.settings.artifacts_folder))
            row = {"job_id": job_id, "path": path, "step": meta["step"], "files": meta["files"]}
            opened = {file: stack.enter_context(file.open("rb")) for file in self.files_of(row)}
        except FileNotFoundError:
            return None
        self.held |= opened
        return row

    def files_of(self, checkpoint: Row) -> list[Path]:
        """The files of a checkpoint; the one that makes it complete is last."""
        folder = self.settings.artifacts_folder / checkpoint["path"]
        return [folder / name for name in (*checkpoint["files"], "meta.json")]

    def _noted(self, table: str, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            if table == "jobs":
                self.jobs.append(row["id"])
                if row["status"] not in TERMINAL:
                    self.unfinished.add(row["id"])
            elif table == "checkpoints":
                self.checkpoints.append(row)
            elif table == "encoders":
                self.encoders.append(row)
            yield row


class _Backup:
    """Copies what a snapshot names, and tells what it could not."""

    def __init__(
        self, settings: Settings, snapshot: _Snapshot, tar: TarWriter, progress: Progress
    ) -> None:
        self.settings, self.snapshot, self.tar, self.progress = settings, snapshot, tar, progress
        self.left_out: list[str] = []
        self._dropped: dict[str, set[Any]] = {
            "checkpoints": set(snapshot.pruned),
            "encoders": set(),
        }
        self._done = self._total = 0

    def write(self, uploads: bool) -> Made:
        """Write all members, in the order that the package's docstring gives."""
        about = About(
            format=FORMAT,
            version=version("paka-service"),
            revision=self.snapshot.revision,
            created=self.snapshot.created,
            artifacts=str(self.settings.artifacts_folder),
            uploads=str(self.settings.uploads_folder),
            bucket=self.settings.artifacts_url is not None,
        )
        about_it = about.model_dump_json(indent=2, exclude_defaults=True)
        self.tar.add_bytes(ABOUT, about_it.encode())
        folders = [self.settings.job_folder(job_id) for job_id in self.snapshot.jobs]
        files = [path for folder in folders for path in _files(folder, _SKIPPED)]
        secret = self.settings.home_folder / SECRET
        if uploads:
            files += _files(self.settings.uploads_folder)
        if secret.exists():
            files.append(secret)
        self._count(files)
        self._write_checkpoints()
        for file in files:
            self._write_file(file)
        self._check_encoders()
        rows = {table.name: self._write_rows(table.name) for table in self.snapshot.tables}
        count = sum(name.startswith("files/") for name in self.tar.members)
        sums = Checksums(members=self.tar.members, rows=rows)
        self.tar.add_bytes(CHECKSUMS, sums.model_dump_json().encode())
        self.tar.close()
        return Made(rows, count, self._done, secret.exists(), self.left_out)

    def _count(self, files: list[Path]) -> None:
        for file in files:
            try:
                self._total += file.stat().st_size
            except FileNotFoundError:
                continue
        if self.snapshot.with_checkpoints:
            sizes = (c["files"].values() for c in self.snapshot.checkpoints)
            self._total += sum(file["bytes"] for files in sizes for file in files)

    def _write_checkpoints(self) -> None:
        for row in self.snapshot.checkpoints:
            if not self.snapshot.with_checkpoints:
                self._dropped["checkpoints"].add(row["id"])
                continue
            mark = self.tar.mark()
            try:
                for path in self.snapshot.files_of(row):
                    found = self._add(path)
                    expected = row["files"].get(path.name)
                    if expected and found != expected["sha256"]:
                        raise ChangedError("a file's sha256 is not the recorded one")
            except (FileNotFoundError, ChangedError) as error:
                self.tar.take_back(mark)
                self._dropped["checkpoints"].add(row["id"])
                why = "it was removed" if isinstance(error, FileNotFoundError) else str(error)
                self.left_out.append(f"checkpoint {row['step']} of {row['job_id']}: {why}")

    def _write_file(self, path: Path) -> None:
        try:
            self._add(path)
        except FileNotFoundError:
            self.left_out.append(f"{path}: it was removed")
        except ChangedError as error:
            self.left_out.append(str(error))

    def _check_encoders(self) -> None:
        for row in self.snapshot.encoders:
            found = self.tar.members.get(f"files/artifacts/{row['path']}")
            if found is None or found.sha256 != row["sha256"]:
                why = "its weights were removed" if found is None else "its weights were changed"
                self._dropped["encoders"].add(row["id"])
                self.left_out.append(f"encoder {row['id']}: {why}")

    def _write_rows(self, table: str) -> int:
        file, dropped = self.snapshot.file(table), self._dropped.get(table)
        count = self.snapshot.rows[table]
        if dropped:
            kept = file.with_suffix(".kept")
            described = next(t for t in self.snapshot.tables if t.name == table)
            rows = (row for row in read_lines(file, described) if row["id"] not in dropped)
            count = write_lines(kept, rows)
            file = kept
        with file.open("rb") as source:
            self.tar.add(f"tables/{table}.jsonl", source, file.stat().st_size)
        return count

    def _add(self, path: Path) -> str:
        """Add one file; return its sha256."""
        with ExitStack() as stack:
            source = self.snapshot.held.get(path) or stack.enter_context(path.open("rb"))
            size = os.fstat(source.fileno()).st_size
            added = self.tar.add(self._name(path), source, size)
        self._done += size
        self.progress(self._done, max(self._total, self._done))
        return added.sha256

    def _name(self, path: Path) -> str:
        for root, name in (
            (self.settings.artifacts_folder, "artifacts/"),
            (self.settings.uploads_folder, "uploads/"),
            (self.settings.home_folder, ""),
        ):
            if path.is_relative_to(root):
                return f"files/{name}{path.relative_to(root)}"
        raise AssertionError(f"{path} is in none of the service's folders")


def _files(folder: Path, skipped: tuple[str, ...] = ()) -> list[Path]:
    """All files below a folder but links, those being written aside, and `skipped` at its top."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        top = parent == str(folder)
        folders[:] = [n for n in folders if not (n.startswith(".") or (top and n in skipped))]
        paths = [Path(parent, n) for n in names if not (top and n in skipped)]
        found += [p for p in paths if not p.name.startswith(".") and not p.is_symlink()]
    return sorted(found)


@contextmanager
def _one_moment(url: str) -> Iterator[Connection]:
    """Yield a connection in a transaction that sees the database as it is now, to its end."""
    engine = make_engine(url)
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file is not None and not Path(file).exists():  # connecting would make it
        raise BackupError(f"there is no database {file}: PAKA_HOME or --home may be another")
    try:
        if engine.dialect.name == "sqlite":
            engine = engine.execution_options(sqlite_begin="DEFERRED")
        else:
            engine = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
