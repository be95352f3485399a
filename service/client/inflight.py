"""Several at once, but not too many, and their results in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(work: Callable[[T], R], items: Iterable[T], limit: int) -> Iterator[R]:
    """Yield the result of each item, `limit` of them in work at a time.

    Items are taken as there is room for them; when one fails, those that wait are not begun.
    """
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(limit, thread_name_prefix="paka-client") as pool:
        try:
            for item in items:
                if len(pending) == limit:
                    yield pending.popleft().result()
                pending.append(pool.submit(work, item))
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


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
