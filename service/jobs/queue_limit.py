"""How many jobs may wait."""

import math
from datetime import timedelta

from sqlalchemy.orm import Session

from service.errors import ApiError
from service.store import queries
from service.store.base import utc_now

_HOUR = 3600


def check_room(session: Session, limit: int) -> None:
    """Raise 429 if `limit` jobs wait already.

    `Retry-After` is the time until a place is free, if jobs start as often as in the last hour.
    """
    if queries.count_queued(session, limit) < limit:
        return
    starts = queries.count_starts(session, utc_now() - timedelta(seconds=_HOUR))
    seconds = math.ceil(_HOUR / max(starts, 1))
    detail = f"{limit} jobs wait already; in the last hour {starts} were started: try again later"
    raise ApiError(429, "queue_full", detail, headers={"Retry-After": str(seconds)})
