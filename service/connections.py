"""Opening and closing what an application is connected to."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing

from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from service.auth.keyring import Keyring
from service.auth.rate_limits import RateLimits
from service.child_pool import ChildPool, start_server
from service.datasets import storage
from service.deps import Resources
from service.embed.admission import Admission
from service.embed.cache import FeatureCache
from service.queue import JobQueue
from service.reconciler import Reconciler
from service.retention.periodic import Collector
from service.store.broker import make_celery, make_redis
from service.store.session import Database
from service.store.settings import Settings
from service.store.versions import DatabaseVersion


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Resources]:
    """Yield the connections, with the reconciler at work; nothing need be there to connect to."""
    async with AsyncExitStack() as opened:
        database = opened.enter_context(closing(Database(settings.database)))
        celery = opened.enter_context(closing(make_celery(settings)))
        redis = opened.enter_context(closing(make_redis(settings)))
        async_redis = await opened.enter_async_context(aclosing(_make_async_redis(settings)))
        rate_limits = RateLimits(settings.redis)
        opened.push_async_callback(rate_limits.close)
        unpackers = opened.enter_context(closing(_make_unpackers(settings)))
        decoders = opened.enter_context(closing(_make_decoders(settings)))
        features = opened.enter_context(closing(FeatureCache(settings)))
        start_server()
        storage.sweep(settings.uploads_folder)
        version = DatabaseVersion(database)
        version.refresh()
        for thread in (
            Collector(database, settings, version),
            Reconciler(database, celery, redis, settings, version),
        ):
            thread.start()
            opened.callback(thread.stop)
        yield Resources(
            settings,
            database,
            JobQueue(database, celery),
            celery,
            redis,
            async_redis,
            decoders,
            unpackers,
            version,
            Keyring(database, settings),
            rate_limits,
            Admission(settings),
            features,
        )


def _make_decoders(settings: Settings) -> ChildPool:
    return ChildPool(
        settings.decode_processes,
        settings.decode_memory_bytes,
        settings.decode_seconds,
        settings.decode_queue_limit,
    )


def _make_unpackers(settings: Settings) -> ChildPool:
    return ChildPool(1, settings.decode_memory_bytes, settings.unpack_seconds)


def _make_async_redis(settings: Settings) -> AsyncRedis:
    """A client whose calls may wait for as long as an embedding request may take.

    Nothing is tried again by itself: a request sent twice would be computed twice.
    """
    return AsyncRedis.from_url(
        settings.redis,
        socket_connect_timeout=5,
        socket_timeout=settings.embed_timeout_seconds + 5,
        # Each request in progress has one to wait on, and another to look about with.
        max_connections=2 * settings.embed_requests,
        retry=Retry(NoBackoff(), 0),
    )
