"""Users and keys made on the server itself: by whoever runs it, or at its first start."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from service.audit.log import audit
from service.auth.actor import Actor
from service.auth.secret import digest, new_token, server_secret
from service.preflight import StartError
from service.store import users
from service.store.migrate import is_current
from service.store.models import LOCAL_USER_ID, Role, User
from service.store.session import Database
from service.store.settings import Settings

COMMAND_LINE = Actor(LOCAL_USER_ID, "paka-server", "admin")
FIRST_ADMIN = "admin"


@contextmanager
def writing(settings: Settings) -> Iterator[Session]:
    """A write session of the settings' database.

    Raises:
        StartError: it has not this version's tables.
        sqlalchemy.exc.OperationalError: it cannot be used.
    """
    if not is_current(settings.database):
        raise StartError("the database has not this version's tables: run `paka-server migrate`")
    database = Database(settings.database)
    try:
        with database.write() as session:
            yield session
    finally:
        database.close()


def add_user(session: Session, name: str, role: Role) -> User:
    """Add a user, or take a revoked one back.

    Raises:
        UserConflict: there is a user of this name.
    """
    user = users.add_user(session, name, role)
    audit(session, COMMAND_LINE, "user.add", user.id, {"name": name, "role": role})
    return user


def revoke_user(session: Session, user: User) -> None:
    """End a user's access.

    Raises:
        UserConflict: it is `local`, a revoked user, or the last admin.
    """
    users.revoke_user(session, user)
    audit(session, COMMAND_LINE, "user.revoke", user.id, {"name": user.name})


def add_key(session: Session, settings: Settings, user: User) -> str:
    """Make a key and return it; it is known nowhere else.

    Raises:
        UserConflict: it is `local`, a revoked user, or they have too many keys.
    """
    token = new_token()
    key = users.add_key(session, user, digest(server_secret(settings), token))
    audit(session, COMMAND_LINE, "key.add", key.id, {"user": user.name})
    return token


def make_first_admin(settings: Settings) -> str | None:
    """Make an admin with a key and return it, if keys are needed and nobody was ever added.

    Several processes may call it at the same time: one makes the admin.

    Raises:
        StartError: the database has not this version's tables.
        sqlalchemy.exc.OperationalError: it cannot be used.
    """
    if not settings.needs_keys:
        return None
    try:
        with writing(settings) as session:
            if users.any_but_local(session):
                return None
            return add_key(session, settings, add_user(session, FIRST_ADMIN, "admin"))
    except users.UserConflict:  # another process was faster by a moment
        return None
