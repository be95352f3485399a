"""Bringing a backup back: all of it in one transaction, or nothing."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.backup import BackupError
from service.backup.create import SECRET
from service.backup.manifest import About
from service.backup.read import Contents, Progress, read
from service.backup.tables import Row, insert_rows, read_lines, read_rows, tables_of
from service.store import attempts
from service.store.base import Base
from service.store.migrate import current_revision, known_revisions, upgrade
from service.store.models import LOCAL_USER_ID, Attempt, AuditEntry, Job, User
from service.store.session import Database, make_engine
from service.store.settings import Settings
from service.store.status import Cause, JobStatus

_STAGED = ".restore"


class Restored(NamedTuple):
    """What was brought back; `requeued` are jobs that ran when the backup was made."""

    about: About
    rows: dict[str, int]
    files: int
    requeued: list[str]


def restore(
    settings: Settings,
    archive: Path,
    *,
    replace: bool = False,
    progress: Progress = lambda done, total: None,
) -> Restored:
    """Bring a backup back into an empty home and database.

    Args:
        replace: into one in use, whose rows all go. Attempts that run lose their leases, so their
            workers stop them and write nothing more.

    Raises:
        BackupError: there is something already, the archive is not sound, or of a newer version;
            nothing was changed.
    """
    try:
        if not replace and (there := _what_is_there(settings)):
            raise BackupError(
                f"there is something here already: {', '.join(there)}; restore into another home "
                "and database, or let the backup take its place with --replace"
            )
        with _staging(settings) as place:
            contents = read(archive, place.of, progress)
            _check_where_files_are(settings, archive, contents.about)
            os.sync()  # one for all files, before anything says that they are there
            rows = _rows_at_head(contents, place)
            return _Restoring(settings, contents, place, rows, replace).run()
    except DBAPIError as error:
        raise BackupError(f"the database cannot be used: {str(error.orig).strip()}") from error
    except OSError as error:
        raise BackupError(f"nothing was restored: {error}") from error


def _check_where_files_are(settings: Settings, archive: Path, about: About) -> None:
    """Raise BackupError if the service would look elsewhere for what its jobs made."""
    if about.bucket and settings.artifacts_url is None:
        raise BackupError(
            f"what the jobs in {archive} made is in object storage: set PAKA_ARTIFACTS_URL to "
            "where it is"
        )
    if settings.artifacts_url is not None and not about.bucket:
        raise BackupError(
            f"what the jobs in {archive} made is in it, and PAKA_ARTIFACTS_URL is set: restore "
            "without it, then copy the folder of artifacts to the bucket with `aws s3 sync` before "
            "it is set again"
        )


class _Place:
    """Where members wait: beside what they will be, on the same disk, so that a rename is enough.

    `roots` are the folders into which they go, by the beginning of a member's name.
    """

    def __init__(self, settings: Settings) -> None:
        self.home = settings.home_folder / _STAGED
        self.roots = {
            "files/artifacts/jobs/": settings.artifacts_folder / "jobs",
            "files/uploads/": settings.uploads_folder,
            f"files/{SECRET}": settings.home_folder,
        }

    def staged(self, root: Path) -> Path:
        """Where the future entries of one of `roots` wait."""
        return root / _STAGED

    def of(self, name: str) -> Path:
        """Where a member waits."""
        for beginning, root in self.roots.items():
            if name == beginning:
                return self.staged(root) / SECRET
            if name.startswith(beginning):
                return self.staged(root) / name.removeprefix(beginning)
        return self.home / name

    def entries(self) -> Iterator[tuple[Path, Path]]:
        """Each thing that waits, and the path that it will have."""
        for name, root in self.roots.items():
            staged = self.staged(root)
            pattern = "*" if name.endswith("/") else SECRET
            yield from ((entry, root / entry.name) for entry in sorted(staged.glob(pattern)))


@contextmanager
def _staging(settings: Settings) -> Iterator[_Place]:
    """Yield folders to stage in; they are empty before, and gone afterwards."""
    place = _Place(settings)
    staged = [place.staged(root) for root in place.roots.values()]
    try:
        for folder in staged:
            shutil.rmtree(folder, ignore_errors=True)
        place.home.mkdir(parents=True, mode=0o700)
        yield place
    finally:
        for folder in staged:
            shutil.rmtree(folder, ignore_errors=True)


def _what_is_there(settings: Settings) -> list[str]:
    secret = settings.home_folder / SECRET
    there = [str(secret)] if secret.exists() else []
    for folder in (settings.artifacts_folder / "jobs", settings.uploads_folder):
        entries = [p for p in folder.iterdir() if p.name != _STAGED] if folder.exists() else []
        if entries:
            there.append(f"{len(entries)} entries in {folder}")
    engine = make_engine(settings.database)
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file is None or Path(file).exists():
        with engine.connect() as connection:
            there += _rows_there(connection)
    engine.dispose()
    return there


def _rows_there(connection: Connection) -> list[str]:
    """How many rows each table has, the user that is there from the start left out."""
    there = []
    for table in tables_of(connection):
        query = select(func.count()).select_from(table)
        if table.name == User.__tablename__:
            query = query.where(table.c.id != LOCAL_USER_ID)
        if count := connection.scalar(query):
            there.append(f"{count} rows in the table {table.name}")
    return there


Rows = Callable[[Table], Iterator[Row]]


def _rows_at_head(contents: Contents, place: _Place) -> Rows:
    """Return what gives the rows of a table as this version has them.

    Rows of an older revision are loaded into a database of that revision, and migrated there.

    Raises:
        BackupError: they are of a newer version.
    """
    about = contents.about
    *older, head = known_revisions()
    folder = place.home / "tables"
    if about.revision == head:
        return lambda table: _lines(folder, table)
    if about.revision not in older:
        raise BackupError(
            f"the backup is of version {about.version}, whose database is at revision "
            f"{about.revision}; this version knows none after {head}: update it first"
        )
    url = f"sqlite:///{place.home / 'older.db'}"
    upgrade(url, about.revision)
    _load_all(url, folder)
    upgrade(url)
    return lambda table: _stored(url, table)


def _lines(folder: Path, table: Table) -> Iterator[Row]:
    file = folder / f"{table.name}.jsonl"
    return read_lines(file, table) if file.exists() else iter(())


def _load_all(url: str, folder: Path) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        tables = tables_of(connection)
        _delete_all(connection, tables)  # what the migrations themselves have put there
        for table in tables:
            insert_rows(connection, table, _lines(folder, table))
    engine.dispose()


def _stored(url: str, table: Table) -> Iterator[Row]:
    engine = make_engine(url)
    with engine.connect() as connection:
        yield from read_rows(connection, table)
    engine.dispose()


class _Restoring:
    def __init__(
        self, settings: Settings, contents: Contents, place: _Place, rows: Rows, replace: bool
    ) -> None:
        self.settings, self.about, self.sums = settings, contents.about, contents.sums
        self.place, self.rows, self.replace = place, rows, replace
        moved = (
            (self.about.artifacts, str(settings.artifacts_folder)),
            (self.about.uploads, str(settings.uploads_folder)),
        )
        self.moves = [(old, new) for old, new in moved if old != new]

    def run(self) -> Restored:
        """Put rows and files in place."""
        known = known_revisions()
        found = current_revision(self.settings.database)
        if found not in (known[-1:] if self.replace else (None, *known)):
            raise BackupError(
                f"the database is at revision {found}, and this version is made for {known[-1]}: "
                "restore with the version that it belongs to, or into another database"
            )
        upgrade(self.settings.database)
        database = Database(self.settings.database)
        try:
            with ExitStack() as undo:
                with database.write() as session:
                    rows = self._fill(session)
                    requeued = self._stop_running(session)
                    session.add(self._audit_entry())
                    session.flush()
                    for staged, final in self.place.entries():
                        _put(staged, final, undo)
                undo.pop_all()
        finally:
            database.close()
        files = sum(name.startswith("files/") for name in self.sums.members)
        return Restored(self.about, rows, files, requeued)

    def _fill(self, session: Session) -> dict[str, int]:
        connection, tables = session.connection(), Base.metadata.sorted_tables
        if connection.dialect.name == "postgresql":
            names = ", ".join(table.name for table in tables)
            connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
        # Somebody may have come in since the archive was opened.
        if not self.replace and (there := _rows_there(connection)):
            raise BackupError(f"there is something here already: {', '.join(there)}")
        _delete_all(connection, tables)
        rows = {}
        for table in tables:
            moved = map(self._moved, self.rows(table)) if self.moves else self.rows(table)
            rows[table.name] = insert_rows(connection, table, moved)
            _go_on_numbering(connection, table)
        return rows

    def _stop_running(self, session: Session) -> list[str]:
        """Queue what ran when the backup was made; its attempts ended then."""
        session.execute(
            update(Attempt)
            .where(Attempt.ended_at.is_(None))
            .values(ended_at=self.about.created, ending=Cause.LOST)
        )
        running = session.scalars(select(Job).where(Job.status == JobStatus.RUNNING)).all()
        for job in running:
            attempts.interrupt(
                session, job, f"restored from the backup of {_date(self.about.created)}"
            )
        return [job.id for job in running]

    def _audit_entry(self) -> AuditEntry:
        about = {"created": self.about.created.isoformat(), "replace": self.replace}
        return AuditEntry(user_name="paka-server", action="backup.restore", data=about)

    def _moved(self, row: Row) -> Row:
        """A row whose paths lead to the folders of this service instead of the archive's."""
        return {name: self._move(value) for name, value in row.items()}

    def _move(self, value: Any) -> Any:
        if isinstance(value, str):
            for old, new in self.moves:
                if value == old or value.startswith(f"{old}/"):
                    value = new + value.removeprefix(old)
                value = value.replace(f"@{old}/", f"@{new}/")  # the reference of an encoder
            return value
        if isinstance(value, dict):
            return {key: self._move(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._move(item) for item in value]
        return value


def _delete_all(connection: Connection, tables: Sequence[Table]) -> None:
    for table in reversed(tables):
        connection.execute(delete(table))


def _go_on_numbering(connection: Connection, table: Table) -> None:
    """PostgreSQL counts on by itself only after rows that it has numbered."""
    column = table.autoincrement_column
    if column is None or connection.dialect.name != "postgresql":
        return
    connection.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), "  # noqa: S608  ours
            f"coalesce(max({column.name}), 0) + 1, false) FROM {table.name}"
        )
    )


def _put(staged: Path, final: Path, undo: ExitStack) -> None:
    """Rename into place; what is there already goes aside until all is done."""
    if final.exists():
        aside = staged.with_name(f".old-{staged.name}")
        final.rename(aside)
        undo.callback(aside.rename, final)
    if staged.name == SECRET:
        staged.chmod(0o600)
    staged.rename(final)
    undo.callback(final.rename, staged)


def _date(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")
