"""Users and their keys: every question and every change.

`local`, who owns what is made while no keys are asked for, has no key and never changes.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.store.base import utc_now
from service.store.ids import new_id
from service.store.models import LOCAL_USER_ID, ApiKey, Role, User

USER_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,99}")
USER_ID = re.compile(rf"{LOCAL_USER_ID}|usr_[0-9a-hjkmnp-tv-z]{{26}}")
KEY_ID = re.compile(r"key_[0-9a-hjkmnp-tv-z]{26}")
MAX_KEYS = 50
"""Keys of one user that work at the same time."""

Reason = Literal["user_exists", "last_admin", "local_user", "user_revoked", "too_many_keys"]


class UserConflict(Exception):
    """A change of users or keys that may not be; the message says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def live_key(session: Session, digest: str, now: datetime) -> tuple[ApiKey, User] | None:
    """The key of this digest and its user, if it works now."""
    query = (
        select(ApiKey, User)
        .join(User, User.id == ApiKey.user_id)
        .where(ApiKey.digest == digest, User.revoked_at.is_(None), *_works(now))
    )
    for key, user in session.execute(query):
        return key, user
    return None


def key_works(session: Session, key_id: str) -> bool:
    """Whether a key still works; a user's keys are revoked with them."""
    query = select(ApiKey.id).where(ApiKey.id == key_id, *_works(utc_now()))
    return session.scalar(query) is not None


def user_by_id(session: Session, user_id: str) -> User | None:
    """The user, or None."""
    return session.get(User, user_id)


def user_by_name(session: Session, name: str) -> User | None:
    """The user, or None."""
    return session.scalar(select(User).where(User.name == name))


def all_users(session: Session) -> Sequence[User]:
    """All users by name, those that were revoked too."""
    return session.scalars(select(User).order_by(User.name)).all()


def any_but_local(session: Session) -> bool:
    """Whether anybody was ever added."""
    return session.scalar(select(User.id).where(User.id != LOCAL_USER_ID).limit(1)) is not None


def key_by_id(session: Session, key_id: str) -> ApiKey | None:
    """The key, or None."""
    return session.get(ApiKey, key_id)


def keys_of(session: Session, user_id: str) -> Sequence[ApiKey]:
    """A user's keys, oldest first, those that no longer work too."""
    query = select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.id)
    return session.scalars(query).all()


def working_keys(session: Session, user: User) -> Sequence[ApiKey]:
    """A user's keys that work now."""
    query = select(ApiKey).where(ApiKey.user_id == user.id, *_works(utc_now()))
    return session.scalars(query).all()


def add_user(session: Session, name: str, role: Role) -> User:
    """Add a user, or take a revoked one back; they have no key yet.

    Raises:
        UserConflict: there is a user of this name.
    """
    user = user_by_name(session, name)
    if user is None:
        user = User(id=new_id("usr"), name=name, role=role)
        session.add(user)
    elif user.revoked_at is None:
        raise _exists(name)
    else:
        user.revoked_at, user.role = None, role
    try:
        session.flush()
    except IntegrityError:  # an equal request was faster by a moment
        raise _exists(name) from None
    return user


def change_role(session: Session, user: User, role: Role) -> None:
    """Give a user another role.

    Raises:
        UserConflict: it is `local`, a revoked user, or the last admin.
    """
    _check_active(user)
    if role != "admin":
        _check_other_admins(session, user)
    user.role = role


def revoke_user(session: Session, user: User) -> None:
    """End a user's access: no key of theirs works again. What they made stays.

    Raises:
        UserConflict: it is `local`, a revoked user, or the last admin.
    """
    _check_active(user)
    _check_other_admins(session, user)
    now = utc_now()
    user.revoked_at = now
    keys = update(ApiKey).where(ApiKey.user_id == user.id, ApiKey.revoked_at.is_(None))
    session.execute(keys.values(revoked_at=now))


def add_key(
    session: Session, user: User, digest: str, expires_at: datetime | None = None
) -> ApiKey:
    """Add a key of a user.

    Raises:
        UserConflict: it is `local`, a revoked user, or they have too many keys.
    """
    _check_active(user)
    if len(working_keys(session, user)) >= MAX_KEYS:
        message = f"{user.name} has {MAX_KEYS} keys, the most there may be: revoke one first"
        raise UserConflict("too_many_keys", message)
    key = ApiKey(id=new_id("key"), user_id=user.id, digest=digest, expires_at=expires_at)
    session.add(key)
    session.flush()
    return key


def revoke_key(key: ApiKey) -> None:
    """End a key; one that was revoked before keeps that time."""
    key.revoked_at = key.revoked_at or utc_now()


def note_use(session: Session, key_id: str, now: datetime) -> None:
    """Note when a key was used last."""
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))


def _works(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)


def _check_active(user: User) -> None:
    if user.id == LOCAL_USER_ID:
        raise UserConflict("local_user", "local stands for a server without keys, and stays as is")
    if user.revoked_at is not None:
        raise UserConflict("user_revoked", f"{user.name} was revoked: add them again first")


def _check_other_admins(session: Session, user: User) -> None:
    """Raise if this is the last admin; the rows are held, so that two cannot go at once."""
    query = (
        select(User.id)
        .where(User.role == "admin", User.revoked_at.is_(None), User.id != LOCAL_USER_ID)
        .order_by(User.id)
        .with_for_update()
    )
    if session.scalars(query).all() == [user.id]:
        raise UserConflict("last_admin", f"{user.name} is the last admin: make another one first")


def _exists(name: str) -> UserConflict:
    return UserConflict("user_exists", f"there is a user {name!r} already")
