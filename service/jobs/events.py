"""A job's events as a stream that follows it to its end."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from fastapi import HTTPException
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent

from service.deps import Resources
from service.jobs import service
from service.jobs.schemas import EventView
from service.store import queries
from service.store.models import JobEvent
from service.store.session import Database
from service.store.status import TERMINAL

POLL_SECONDS = 0.3
_PAGE = 500


def check_there_is_more(resources: Resources, job_id: str, after: int) -> None:
    """Raise 404 if there is no such job, and 204 if it has ended and all its events were seen.

    A browser's EventSource comes back after every end of a stream; only 204 stops it.
    """
    with resources.database.read() as session:
        job = service.find(session, job_id)
        if job.status in TERMINAL and not queries.events_after(session, job_id, after, 1):
            raise HTTPException(204)


async def follow(database: Database, job_id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    """Yield a job's events after the one with the id `after`, until the job has ended."""
    while True:
        ended, rows = await run_in_threadpool(_poll, database, job_id, after)
        for row in rows:
            yield ServerSentEvent(data=EventView.of(row), event=row.type, id=str(row.id))
            after = row.id
        if len(rows) < _PAGE:
            if ended:
                return
            await asyncio.sleep(POLL_SECONDS)


def _poll(database: Database, job_id: str, after: int) -> tuple[bool, Sequence[JobEvent]]:
    with database.read() as session:
        # The status is read first: a job that has ended by then has written its last event.
        job = queries.job_by_id(session, job_id)
        ended = job is None or job.status in TERMINAL
        return ended, queries.events_after(session, job_id, after, _PAGE)
