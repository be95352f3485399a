"""Handing an embedding request to a worker and waiting for its answer, without holding a thread."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from fastapi.concurrency import run_in_threadpool
from kombu.exceptions import OperationalError
from redis import RedisError
from redis.asyncio import Redis
from starlette.requests import ClientDisconnect

from service.deps import Resources
from service.errors import ApiError, unavailable
from service.store.contract import (
    EMBED_AWAKE_KEY,
    EMBED_PENDING_KEY,
    EMBED_QUEUE,
    EMBED_TASK,
    EmbedError,
    EmbedRequest,
    OutdatedError,
    check_answer,
    result_key,
    worker_key,
)

log = logging.getLogger(__name__)

RETRY_SECONDS = 5
LOOK_SECONDS = 1.0
"""Pause between two looks whether there is a worker, and whether a request that waits still has a
client.
"""

_STATUSES = {
    "encoder_unavailable": 422,
    "out_of_memory": 503,
    "worker_outdated": 503,
    "artifacts_unavailable": 503,
    "internal": 500,
}


async def check_capacity(resources: Resources) -> None:
    """Raise 503 if there is no worker, 429 if too many requests wait already, or too large ones.

    What is known from a moment ago will do: `ask` looks once more.
    """
    redis, admission = resources.async_redis, resources.admission
    try:
        if time.monotonic() - admission.worker_seen_at > LOOK_SECONDS:
            await _check_worker(redis)
            admission.worker_seen_at = time.monotonic()
        if time.monotonic() < admission.roomy_until:
            return
        async with redis.pipeline(transaction=False) as both:
            both.llen(EMBED_PENDING_KEY)
            both.memory_usage(EMBED_PENDING_KEY, samples=0)
            waiting, size = await both.execute()
    except RedisError as error:
        raise _away(error) from error
    admission.check_queue(waiting, size or 0)


async def ask(
    resources: Resources,
    request: EmbedRequest,
    message: bytes,
    until_gone: Callable[[], Awaitable[None]],
) -> bytes:
    """Return the worker's answer, a safetensors file.

    However it ends, the request no longer waits afterwards.

    Args:
        message: the request as bytes.
        until_gone: returns when the client has gone away.

    Raises:
        ApiError: too many wait already (429), or the worker could not do it, or gave no answer
            until the request expired.
        starlette.requests.ClientDisconnect: nobody wants the answer any more.
    """
    asked_at = time.monotonic()
    answer: bytes | None = None
    gone = asyncio.ensure_future(until_gone())
    try:
        async with resources.async_redis.pipeline(transaction=False) as together:
            together.memory_usage(EMBED_PENDING_KEY, samples=0)
            together.rpush(EMBED_PENDING_KEY, message)
            together.exists(EMBED_AWAKE_KEY)
            size, place, awake = await together.execute()
        resources.admission.check_queue(place - 1, size or 0)
        if place == 1 and not awake:  # who waits already has woken one, which takes all that wait
            await _wake(resources)
        answer = await _wait(resources, request, gone)
    except (RedisError, OperationalError) as error:
        raise _away(error) from error
    finally:
        gone.cancel()
        if answer is None:
            await _withdraw(resources.async_redis, message)
    resources.admission.note(place, time.monotonic() - asked_at)
    if answer is None:
        seconds = f"{resources.settings.embed_timeout_seconds:g}"
        raise ApiError(504, "embed_timeout", f"no worker answered within {seconds} s")
    if problem := EmbedError.from_bytes(answer):
        raise _worker_error(problem)
    try:
        check_answer(answer)
    except OutdatedError as error:
        raise unavailable("worker_outdated", str(error), RETRY_SECONDS) from None
    return answer


async def _wake(resources: Resources) -> None:
    """Have a worker look for what waits."""
    await run_in_threadpool(resources.celery.send_task, EMBED_TASK)


async def _wait(
    resources: Resources, request: EmbedRequest, gone: asyncio.Future[None]
) -> bytes | None:
    """The answer; None if the request expires without one.

    Raises:
        ApiError: 503; the last worker has died.
        starlette.requests.ClientDisconnect: `gone` is done.
    """
    redis = resources.async_redis
    while (left := request.expires_at - time.time()) > 0:
        seconds = min(left, LOOK_SECONDS)
        popped = await redis.blpop([result_key(request.id)], timeout=seconds)
        if popped:
            resources.admission.worker_seen_at = time.monotonic()
            return bytes(popped[1])  # type: ignore[arg-type]
        # Not by cancelling the call above: its connection may swallow that.
        if gone.done():
            raise ClientDisconnect
        await _check_worker(redis)
        if not await redis.llen(EMBED_QUEUE):  # the wake-up may have been lost
            await _wake(resources)
    return None


async def _check_worker(redis: Redis) -> None:
    """Raise 503 if no worker is alive."""
    async for _ in redis.scan_iter(worker_key("embed", "*"), count=1000):
        return
    detail = "no embedding worker is running; start one with `paka-server worker --queue embed`"
    raise unavailable("no_embed_worker", detail, RETRY_SECONDS)


async def _withdraw(redis: Redis, message: bytes) -> None:
    """Take back a request that nobody waits for; if Redis is away, it expires by itself."""
    try:
        await redis.lrem(EMBED_PENDING_KEY, 1, message)  # type: ignore[arg-type]
    except RedisError:
        log.warning("a pending embedding request could not be withdrawn; it will expire")


def _away(error: Exception) -> ApiError:
    return unavailable("queue_unavailable", f"Redis does not answer: {error}", RETRY_SECONDS)


def _worker_error(error: EmbedError) -> ApiError:
    status = _STATUSES.get(error.code, 500)
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else None
    return ApiError(status, error.code, error.message, headers=headers)
