"""Whether the database has the tables that this code is made for; where not, nothing is touched."""

import logging

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from service.store.migrate import known_revisions, revision_of
from service.store.session import Database

log = logging.getLogger(__name__)


def mismatch(found: str | None) -> str | None:
    """Say what is wrong with a database at the revision `found`, and what to do; None if nothing.

    Args:
        found: None stands for a database without our tables.
    """
    *earlier, wanted = known_revisions()
    if found == wanted:
        return None
    if found is None:
        return "the database has no tables yet: run `paka-server migrate`"
    at = f"the database is at revision {found}, and this version is made for {wanted}"
    return f"{at}: " + ("run `paka-server migrate`" if found in earlier else "update this version")


def check(connection: Connection) -> str | None:
    """Return what `mismatch` says of this database, as the transaction sees it."""
    return mismatch(revision_of(connection))


class DatabaseVersion:
    """What was found when the database was last asked; `problem` is None if all is well."""

    def __init__(self, database: Database) -> None:
        self.problem: str | None = None
        self._database = database

    def refresh(self) -> str | None:
        """Ask again; if the database does not answer, what was found before stays. A change is
        logged once.
        """
        try:
            with self._database.read() as session:
                found = check(session.connection())
        except SQLAlchemyError:
            return self.problem
        if found != self.problem:
            log.warning("%s", found or "the database is the right one again")
        self.problem = found
        return found
