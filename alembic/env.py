"""Runs migrations for `alembic` on the command line and for `service.store.migrate`."""

from pathlib import Path
from typing import Any

from alembic import context
from sqlalchemy import Connection, Enum, text

from service.store import models
from service.store.base import UtcDateTime
from service.store.session import make_engine
from service.store.settings import Settings

LOCK = 0x70616B61  # any fixed number: "paka"


def database_url() -> str:
    """The URL given by `service.store.migrate`, else that of the settings."""
    url: str | None = context.config.attributes.get("url")
    return url or Settings().database


def render_item(kind: str, item: Any, _autogen_context: Any) -> str | bool:
    """Write our own column types as what they are in the database, so migrations stand alone."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String({item.length})"
    return False


def configure(**where: Any) -> None:
    context.configure(
        target_metadata=models.Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        compare_type=True,
        # SQLite can roll back DDL, given that session.py issues BEGIN itself.
        transactional_ddl=True,
        **where,
    )


def migrate(connection: Connection) -> None:
    configure(connection=connection)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Only a migration may take long, or wait long for another one.
            for timeout in ("lock_timeout", "idle_in_transaction_session_timeout"):
                connection.execute(text(f"SET LOCAL {timeout} = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()


def run_online() -> None:
    engine = make_engine(database_url())
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                # A batch migration drops and makes a table anew; with foreign keys on, dropping it
                # would delete the rows that refer to it. Only outside a transaction can it be off.
                connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
            migrate(connection)
    finally:
        engine.dispose()


def run_offline() -> None:
    """Print the SQL (`alembic upgrade head --sql`)."""
    configure(url=database_url(), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
