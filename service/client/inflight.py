"""Several at once, but not too many, and their results in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(work: Callable[[T], R], items: Iterable[T], limit: int) -> Iterator[R]:
    """Yield the result of each item, `limit` of them in work at a time.

    Items are taken as there is room for them. When one fails, or on Ctrl-C, no more are begun, and
    those in work are not waited for.
    """
    pending: deque[Future[R]] = deque()
    for item in items:
        if len(pending) == limit:
            yield pending.popleft().result()
        pending.append(_in_thread(work, item))
    while pending:
        yield pending.popleft().result()


def _in_thread(work: Callable[[T], R], item: T) -> Future[R]:
    future: Future[R] = Future()

    def run() -> None:
        try:
            future.set_result(work(item))
        except BaseException as error:
            future.set_exception(error)

    # A daemon, unlike an executor's threads: Python does not wait for it after Ctrl-C.
    Thread(target=run, name="paka-client", daemon=True).start()
    return future


async def in_tasks(
    work: Callable[[T], Awaitable[R]], items: Iterable[T], limit: int
) -> AsyncIterator[R]:
    """`in_threads` without threads; when one fails, the others are cancelled."""
    pending: deque[asyncio.Future[R]] = deque()
    try:
        for item in items:
            if len(pending) == limit:
                yield await pending.popleft()
            pending.append(asyncio.ensure_future(work(item)))
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
