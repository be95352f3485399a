"""Brings a database to the tables that this version of the code expects."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.store.session import make_engine

MIGRATIONS = Path(__file__).resolve().parents[2] / "alembic"


def upgrade(url: str, revision: str = "head") -> None:
    """Apply every migration up to `revision`; a database that has them is left as it is.

    Several processes may call it at the same time: one migrates, the others wait.
    """
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Undo every migration after `revision`; `base` removes all tables with their rows."""
    command.downgrade(_config(url), revision)


def current_revision(url: str) -> str | None:
    """Return the last migration that was applied; None for a database without our tables."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def latest_revision() -> str:
    """Return the last migration that this version of the code has."""
    return known_revisions()[-1]


def known_revisions() -> tuple[str, ...]:
    """Return all migrations that this version of the code has, in order."""
    return _revisions(MIGRATIONS)


@cache
def _revisions(migrations: Path) -> tuple[str, ...]:
    scripts = ScriptDirectory(str(migrations)).walk_revisions()
    return tuple(script.revision for script in scripts)[::-1]


def is_current(url: str) -> bool:
    """Whether the database has exactly the tables that this version of the code expects."""
    return current_revision(url) == latest_revision()


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    return config
