"""Opening and closing what an application is connected to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
    database, celery, redis = (
        Database(settings.database),
        make_celery(settings),
        make_redis(settings),
    )
    async_redis = _make_async_redis(settings)
    version = DatabaseVersion(database)
    version.refresh()
    reconciler = Reconciler(database, celery, redis, settings, version)
    collector = Collector(database, settings, version)
    decoders, unpackers = _make_decoders(settings), _make_unpackers(settings)
    rate_limits, features = RateLimits(settings.redis), FeatureCache(settings)
    start_server()
    storage.sweep(settings.uploads_folder)
    reconciler.start()
    collector.start()
    try:
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
    finally:
        reconciler.stop()
        collector.stop()
        features.close()
        decoders.close()
        unpackers.close()
        await rate_limits.close()
        await async_redis.aclose()
        redis.close()
        celery.close()
        database.close()


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
