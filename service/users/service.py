"""The rules about users and keys: who may add, change and revoke whom."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy.orm import Session

from service.audit.log import audit
from service.auth.actor import Actor
from service.auth.secret import new_token
from service.deps import Resources
from service.errors import ApiError, not_found
from service.store import users
from service.store.base import utc_now
from service.store.models import ApiKey, User
from service.users.schemas import (
    KeyList,
    KeyRequest,
    KeyView,
    NewKeyView,
    UserList,
    UserPatch,
    UserRequest,
    UserView,
)


def list_all(resources: Resources) -> UserList:
    """Return all users."""
    with resources.database.read() as session:
        return UserList(data=[UserView.of(user) for user in users.all_users(session)])


def add(resources: Resources, actor: Actor, request: UserRequest) -> UserView:
    """Add a user, or take a revoked one back."""
    with _changing(resources) as session:
        user = users.add_user(session, request.name, request.role)
        audit(session, actor, "user.add", user.id, {"name": user.name, "role": user.role})
        return UserView.of(user)


def change(resources: Resources, actor: Actor, user_id: str, patch: UserPatch) -> UserView:
    """Give a user another role."""
    with _changing(resources) as session:
        user = _find(session, user_id)
        before = user.role
        users.change_role(session, user, patch.role)
        data = {"name": user.name, "from": before, "to": user.role}
        audit(session, actor, "user.change", user.id, data)
        return UserView.of(user)


def revoke(resources: Resources, actor: Actor, user_id: str) -> None:
    """End a user's access; what they made stays."""
    with _changing(resources) as session:
        user = _find(session, user_id)
        users.revoke_user(session, user)
        audit(session, actor, "user.revoke", user.id, {"name": user.name})


def list_keys(resources: Resources, user_id: str) -> KeyList:
    """Return a user's keys."""
    with resources.database.read() as session:
        user = _find(session, user_id)
        keys = users.keys_of(session, user.id)
        return KeyList(data=[KeyView.of(key, user.name) for key in keys])


def add_key(resources: Resources, actor: Actor, user_id: str, request: KeyRequest) -> NewKeyView:
    """Make a user's key; it is never shown again."""
    token = new_token()
    expires_at = utc_now() + timedelta(days=request.days) if request.days else None
    with _changing(resources) as session:
        user = _find(session, user_id)
        key = users.add_key(session, user, resources.keyring.digest(token), expires_at)
        audit(session, actor, "key.add", key.id, {"user": user.name})
        return NewKeyView(**KeyView.of(key, user.name).model_dump(), key=token)


def revoke_key(resources: Resources, actor: Actor, key_id: str) -> None:
    """End a key of one's own, or for an admin of anybody's."""
    with _changing(resources) as session:
        key = _find_key(session, actor, key_id)
        user = _find(session, key.user_id)
        users.revoke_key(key)
        audit(session, actor, "key.revoke", key.id, {"user": user.name})


@contextmanager
def _changing(resources: Resources) -> Iterator[Session]:
    """A write session; after it no key is trusted without asking the database again."""
    try:
        with resources.database.write() as session:
            yield session
    except users.UserConflict as error:
        raise ApiError(409, error.reason, str(error)) from None
    resources.keyring.forget()


def _find(session: Session, user_id: str) -> User:
    user = users.user_by_id(session, user_id) if users.USER_ID.fullmatch(user_id) else None
    if user is None:
        raise not_found("user", user_id)
    return user


def _find_key(session: Session, actor: Actor, key_id: str) -> ApiKey:
    key = users.key_by_id(session, key_id) if users.KEY_ID.fullmatch(key_id) else None
    if key is None or actor.confined_to not in (None, key.user_id):
        raise not_found("key", key_id)
    return key
