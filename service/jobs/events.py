"""A job's events as a stream that follows it to its end."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from fastapi import HTTPException
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent
from sqlalchemy.orm import Session

from service.auth.actor import Actor, may_see
from service.deps import Resources
from service.errors import ApiError
from service.jobs import service
from service.jobs.schemas import EventView
from service.store import queries, users
from service.store.models import JobEvent
from service.store.session import Database
from service.store.status import TERMINAL

POLL_SECONDS, MAX_POLL_SECONDS = 0.3, 2.0
"""Pauses between two looks: short after an event, longer the longer nothing happens."""

MAX_STREAMS = 200
"""Streams that one user may have open in one process: each takes a connection, of which there may
be no more than a thousand.
"""

_PAGE = 500
_open: Counter[str] = Counter()


def check_there_is_more(resources: Resources, actor: Actor, job_id: str, after: int) -> None:
    """Raise 404 if there is no such job, 204 if it has ended and all its events were seen, and 429
    if the actor follows too much already.

    A browser's EventSource comes back after every end of a stream; only 204 stops it.
    """
    with resources.database.read() as session:
        job = service.find(session, actor, job_id)
        if job.status in TERMINAL and not queries.events_after(session, job_id, after, 1):
            raise HTTPException(204)
    if _open[actor.user_id] >= MAX_STREAMS:
        detail = f"{actor.name} follows {MAX_STREAMS} jobs at once already; end one of the streams"
        raise ApiError(429, "too_many_streams", detail, headers={"Retry-After": "10"})


async def follow(
    database: Database, actor: Actor, job_id: str, after: int
) -> AsyncIterator[ServerSentEvent]:
    """Yield a job's events after the one with the id `after`, until the job has ended.

    It also ends when the actor may no longer follow: the job was made private, the key revoked, or
    an admin is none any more.
    """
    _open[actor.user_id] += 1
    try:
        async for event in _events(database, actor, job_id, after):
            yield event
    finally:
        _open[actor.user_id] -= 1


async def _events(
    database: Database, actor: Actor, job_id: str, after: int
) -> AsyncIterator[ServerSentEvent]:
    pause = POLL_SECONDS
    while True:
        ended, rows = await run_in_threadpool(_poll, database, actor, job_id, after)
        for row in rows:
            yield ServerSentEvent(data=EventView.of(row), event=row.type, id=str(row.id))
            after = row.id
        if len(rows) < _PAGE:
            if ended:
                return
            pause = POLL_SECONDS if rows else min(1.3 * pause, MAX_POLL_SECONDS)
            await asyncio.sleep(pause)


def _poll(
    database: Database, actor: Actor, job_id: str, after: int
) -> tuple[bool, Sequence[JobEvent]]:
    with database.read() as session:
        # The status is read first: a job that has ended by then has written its last event.
        job = queries.job_by_id(session, job_id)
        asking = _as_of_now(session, actor)
        if job is None or asking is None or not may_see(asking, job):
            return True, []
        return job.status in TERMINAL, queries.events_after(session, job_id, after, _PAGE)


def _as_of_now(session: Session, actor: Actor) -> Actor | None:
    """The actor with the role that they have by now; None if their key no longer works."""
    if actor.key_id is None:
        return actor
    user = users.user_by_id(session, actor.user_id)
    if user is None or not users.key_works(session, actor.key_id):
        return None
    return actor._replace(role=user.role)
