"""Whose key it is: asked of the database, and remembered for a moment."""

import logging
import time
from datetime import datetime, timedelta
from functools import cached_property

from sqlalchemy.exc import SQLAlchemyError

from service.auth.actor import Actor
from service.auth.secret import digest, server_secret
from service.store import users
from service.store.base import utc_now
from service.store.models import ApiKey
from service.store.session import Database
from service.store.settings import Settings

REMEMBER_SECONDS = 3.0
"""So long may a key that was revoked through another process still work."""

NOTE_SECONDS = 60
"""`last_used_at` is no more exact than this: a write for every request would be too many."""

log = logging.getLogger(__name__)


class Keyring:
    """Turns keys into actors. Only good keys are remembered: others could fill the memory."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._known: dict[str, tuple[Actor, float]] = {}

    @cached_property
    def _secret(self) -> bytes:
        return server_secret(self._settings)

    def digest(self, token: str) -> str:
        """What the database keeps of a key."""
        return digest(self._secret, token)

    def recall(self, token: str) -> Actor | None:
        """The key's user, if the database named them just now; it does not wait."""
        actor, until = self._known.get(self.digest(token), (None, 0.0))
        return actor if time.monotonic() < until else None

    def find(self, token: str) -> Actor | None:
        """The key's user; None if it is unknown, expired or revoked, or its user is."""
        known_as = self.digest(token)
        now = utc_now()
        with self._database.read() as session:
            found = users.live_key(session, known_as, now)
        if found is None:
            self._known.pop(known_as, None)
            return None
        key, user = found
        if key.last_used_at is None or key.last_used_at < now - timedelta(seconds=NOTE_SECONDS):
            self._note_use(key.id, now)
        actor = Actor(user.id, user.name, user.role, key.id)
        self._known[known_as] = (actor, time.monotonic() + _seconds(key, now))
        return actor

    def _note_use(self, key_id: str, now: datetime) -> None:
        """A full disk or a busy database must not keep anybody out who only looks."""
        try:
            with self._database.write() as session:
                users.note_use(session, key_id, now)
        except SQLAlchemyError as error:
            log.warning("the use of %s could not be noted: %s", key_id, error)

    def forget(self) -> None:
        """Ask the database again about every key: one was revoked, or a user changed."""
        self._known.clear()


def _seconds(key: ApiKey, now: datetime) -> float:
    if key.expires_at is None:
        return REMEMBER_SECONDS
    return min(REMEMBER_SECONDS, (key.expires_at - now).total_seconds())
