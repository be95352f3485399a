"""How often somebody may ask, counted over all API processes in Redis."""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis import RedisError
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

T = TypeVar("T")

REDIS_SECONDS = 0.5
"""No request waits longer for its count."""

MAX_CONNECTIONS = 50
"""A count takes a millisecond: more requests than these at once wait for their turn."""

AWAY_SECONDS = 5.0
"""So long is Redis left alone after it did not answer; meanwhile each process counts for itself."""

log = logging.getLogger(__name__)


class RateLimits:
    """Counts what was done in the last minute, by name."""

    def __init__(self, redis_url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=MAX_CONNECTIONS,
            timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis.from_pool(pool)
        shared = RedisStorage(
            "async+redis://",  # where the server is, the connections know
            implementation="redispy",
            key_prefix="paka:rate",
            connection_pool=self._redis.connection_pool,  # type: ignore[arg-type]
        )
        self._shared = MovingWindowRateLimiter(shared)
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._away_until = 0.0

    async def count(self, limit: int, *names: str) -> bool:
        """Count one more, unless that would be more than `limit` in a minute."""
        item = RateLimitItemPerMinute(limit)
        return await self._ask(lambda limiter: limiter.hit(item, *names))

    async def seconds_to_wait(self, limit: int, *names: str) -> int:
        """How long until one more may be counted, 1 or more."""
        item = RateLimitItemPerMinute(limit)
        stats = await self._ask(lambda limiter: limiter.get_window_stats(item, *names))
        return max(math.ceil(stats.reset_time - time.time()), 1)

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._redis.aclose()

    async def _ask(self, question: Callable[[MovingWindowRateLimiter], Awaitable[T]]) -> T:
        if time.monotonic() >= self._away_until:
            try:
                return await question(self._shared)
            except RedisError as error:
                log.warning("rate limits are counted by each process alone: %s", error)
                self._away_until = time.monotonic() + AWAY_SECONDS
        return await question(self._own)
