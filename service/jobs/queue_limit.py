"""How many jobs may wait."""

import math
from datetime import timedelta

from sqlalchemy.orm import Session

from service.auth.actor import Actor
from service.errors import ApiError
from service.store import queries
from service.store.base import utc_now
from service.store.settings import Settings

_HOUR = 3600


def check_room(session: Session, settings: Settings, actor: Actor) -> None:
    """Raise 429 if as many jobs wait as may, of all users or of this one.

    `Retry-After` is the time until a place is free, if jobs start as often as in the last hour.
    """
    if queries.count_queued(session, settings.queue_limit) >= settings.queue_limit:
        raise _full(session, "queue_full", f"{settings.queue_limit} jobs wait already")
    limit = settings.user_queued_jobs
    if queries.count_queued(session, limit, actor.user_id) >= limit:
        message = f"{limit} jobs of {actor.name} wait already, as many as one user may have"
        raise _full(session, "user_queue_full", message)


def _full(session: Session, code: str, message: str) -> ApiError:
    starts = queries.count_starts(session, utc_now() - timedelta(seconds=_HOUR))
    detail = f"{message}; in the last hour {starts} were started: try again later"
    seconds = math.ceil(_HOUR / max(starts, 1))
    return ApiError(429, code, detail, headers={"Retry-After": str(seconds)})
