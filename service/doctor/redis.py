"""Whether Redis answers, and is set up to lose nothing that waits."""

import time
from collections.abc import Iterator
from typing import Any

from redis import Redis, RedisError

from paka.doctor.finding import Finding, ok, problem, size, warning
from service.doctor.clock import judge
from service.store.broker import make_redis
from service.store.redact import redact
from service.store.settings import Settings

OLDEST = (6, 2)


def check(settings: Settings) -> list[Finding]:
    """What there is to say of the server; a single problem if it does not answer."""
    with make_redis(settings) as redis:
        try:
            return list(_look(redis, settings))
        except RedisError as error:
            reason = redact(str(error).splitlines()[0])
            remedy = "start it, or mend PAKA_REDIS_URL"
            return [problem("Redis", f"does not answer: {reason}", remedy)]


def _look(redis: Redis, settings: Settings) -> Iterator[Finding]:
    about: dict[str, Any] = redis.info()
    version = str(about["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        yield warning("Redis", f"version {version}", "install Redis 6.2 or newer")
    else:
        yield ok("Redis", f"version {version}")
    policy, most = about["maxmemory_policy"], int(about["maxmemory"])
    if policy != "noeviction":
        found = f"maxmemory-policy is {policy}: it may drop what waits"
        yield problem("Redis memory", found, "redis-cli config set maxmemory-policy noeviction")
    elif 0 < most < settings.embed_queue_bytes:
        found = f"maxmemory is {size(most)}, less than PAKA_EMBED_QUEUE_BYTES"
        remedy = f"redis-cli config set maxmemory {2 * settings.embed_queue_bytes}"
        yield warning("Redis memory", found, remedy)
    else:
        yield ok("Redis memory", f"noeviction, {size(most) if most else 'no limit'}")
    before = time.time()
    seconds, micros = redis.time()
    yield judge("Redis", seconds + micros / 1e6 - (before + time.time()) / 2)
