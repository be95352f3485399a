"""Connections to the database: SQLite in WAL mode, or PostgreSQL."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

# A process that hangs within a transaction must not keep the others from a job's row, nor one that
# waits for a server which has vanished wait for ever. All transactions here are short.
_POSTGRESQL = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "options": "-c idle_in_transaction_session_timeout=15s -c lock_timeout=15s",
}


def make_engine(url: str) -> Engine:
    """Return an engine for `url`; PostgreSQL URLs without a driver use psycopg 3."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": 30}, json_serializer=_to_json)
        _tune_sqlite(engine)
        return engine
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(
        parsed,
        connect_args=_POSTGRESQL,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        json_serializer=_to_json,
    )


def is_away(error: DBAPIError) -> bool:
    """Whether the server or the way to it is the trouble, so that trying again may help."""
    return error.connection_invalidated or isinstance(error, OperationalError)


def _to_json(value: Any) -> str:
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    """Put null in place of NaN and infinity: JSON has none, and PostgreSQL refuses them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN below, not the driver's
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A transaction that reads and then writes would fail at once with "database is locked"
        # when another wrote in between; taking the write lock first makes it wait its turn.
        mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {mode}")


class Database:
    """Hands out short sessions: `with database.write() as session: …` commits at the end."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._reader = self.engine.execution_options(sqlite_begin="DEFERRED")

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end, or rolls back on an error."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for queries only; on SQLite it never waits for a writer."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
