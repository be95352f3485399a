"""Keeping a job, or a node of one, while something slow is done before its process or after it, or
the database is away.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from service.store import attempts, nodes
from service.store.attempts import Lease, LeaseLost
from service.store.nodes import Part, PartLost
from service.store.session import Database, is_away

log = logging.getLogger(__name__)

T = TypeVar("T")
_RENEW_SECONDS = 1.0
_RETRY_SECONDS = 0.25


def hold(
    database: Database,
    right: Lease | Part,
    lease_seconds: float,
    stopping: threading.Event,
    work: Callable[[threading.Event], T],
) -> T:
    """Do `work` in a thread of its own, and renew the right to the job until it is done.

    Args:
        right: to the job, or to a node of it.
        stopping: set when the worker should leave.
        work: is given an event that is set when it should be tried no more: the worker should
            leave, or the job, or the right is lost.

    Raises:
        LeaseLost, PartLost: the attempt is over, or the database was away for as long as a lease
            lasts; the work may go on for a moment.
        Exception: what `work` raises.
    """
    give_up = threading.Event()
    pool = ThreadPoolExecutor(1, "transfers")
    future = pool.submit(copy_context().run, work, give_up)
    pool.shutdown(wait=False)
    renewed_at = time.monotonic()
    try:
        while not wait([future], min(_RENEW_SECONDS, lease_seconds / 3)).done:
            leave = _renew(database, right, lease_seconds)
            if leave or stopping.is_set():
                give_up.set()
            if leave is not None:
                renewed_at = time.monotonic()
            elif time.monotonic() - renewed_at > lease_seconds:
                raise _lost(right)
    except (LeaseLost, PartLost):
        give_up.set()
        raise
    return future.result()


def insist(work: Callable[[], T], deadline: float, lost: LeaseLost | PartLost) -> T:
    """Do what needs the database, however often it takes.

    Args:
        deadline: when the right to the job has run out, by `time.monotonic`.
        lost: says so; it is raised if the database is still away then.

    Raises:
        Exception: what else `work` raises.
    """
    while True:
        try:
            return work()
        except DBAPIError as error:
            if not is_away(error):
                raise
            if time.monotonic() > deadline:
                raise lost from error
            log.warning("the database does not answer (%s); trying again", error)
            time.sleep(_RETRY_SECONDS)


def _renew(database: Database, right: Lease | Part, lease_seconds: float) -> bool | None:
    """Return whether somebody wants the job to leave; None if the database does not answer."""
    try:
        with database.write() as session:
            if isinstance(right, Part):
                nodes.beat(session, right)
                return False
            return attempts.record(session, right, lease_seconds) is not None
    except DBAPIError as error:
        if not is_away(error):
            raise
        log.warning("the database does not answer (%s); trying again", error)
        return None


def _lost(right: Lease | Part) -> Exception:
    return PartLost(right) if isinstance(right, Part) else LeaseLost(right)
