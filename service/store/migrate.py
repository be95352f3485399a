"""Brings a database to the tables that this version of the code expects."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from service.store.session import make_engine

# Alembic is slow to import, and who only looks at a revision need not wait for it.
if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parents[2] / "alembic"


def upgrade(url: str, revision: str = "head") -> None:
    """Apply every migration up to `revision`; a database that has them is left as it is.

    Several processes may call it at the same time: one migrates, the others wait.
    """
    from alembic import command

    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Undo every migration after `revision`; `base` removes all tables with their rows."""
    from alembic import command

    command.downgrade(_config(url), revision)


def current_revision(url: str) -> str | None:
    """Return the last migration that was applied; None for a database without our tables."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return revision_of(connection)
    finally:
        engine.dispose()


def revision_of(connection: Connection) -> str | None:
    """The same, as a transaction sees it."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def latest_revision() -> str:
    """Return the last migration that this version of the code has."""
    return known_revisions()[-1]


def known_revisions() -> tuple[str, ...]:
    """Return all migrations that this version of the code has, in order.

    Their files' names begin with them.
    """
    return _revisions(MIGRATIONS)


@cache
def _revisions(migrations: Path) -> tuple[str, ...]:
    files = migrations.glob("versions/[0-9]*.py")
    return tuple(sorted(file.stem.partition("_")[0] for file in files))


def is_current(url: str) -> bool:
    """Whether the database has exactly the tables that this version of the code expects."""
    return current_revision(url) == latest_revision()


def _config(url: str) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    return config
