"""Handing an embedding request to a worker and waiting for its answer, without holding a thread."""

import logging
import time

from fastapi.concurrency import run_in_threadpool
from kombu.exceptions import OperationalError
from redis import RedisError

from service.deps import Resources
from service.errors import ApiError, unavailable
from service.store.contract import (
    EMBED_PENDING_KEY,
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
_STATUSES = {
    "encoder_unavailable": 422,
    "out_of_memory": 503,
    "worker_outdated": 503,
    "internal": 500,
}


async def check_capacity(resources: Resources) -> None:
    """Raise 503 if there is no worker, 429 if too many requests wait already."""
    redis, limit = resources.async_redis, resources.settings.embed_queue_limit
    try:
        workers = [key async for key in redis.scan_iter(worker_key("embed", "*"))]
        waiting = await redis.llen(EMBED_PENDING_KEY)
    except RedisError as error:
        raise _away(error) from error
    if not workers:
        detail = "no embedding worker is running; start one with `paka-server worker --queue embed`"
        raise unavailable("no_embed_worker", detail, RETRY_SECONDS)
    if waiting >= limit:
        headers = {"Retry-After": str(RETRY_SECONDS)}
        detail = f"{waiting} embedding requests wait already, {limit} at most; try again later"
        raise ApiError(429, "embed_queue_full", detail, headers=headers)


async def ask(resources: Resources, request: EmbedRequest) -> bytes:
    """Return the worker's answer, a safetensors file.

    However it ends, the request no longer waits afterwards.

    Raises:
        ApiError: the worker could not do it, or gave no answer until the request expired.
    """
    message = await run_in_threadpool(request.to_bytes)
    answer: bytes | None = None
    try:
        await resources.async_redis.rpush(EMBED_PENDING_KEY, message)
        await run_in_threadpool(resources.celery.send_task, EMBED_TASK)
        answer = await _wait(resources, request)
    except (RedisError, OperationalError) as error:
        raise _away(error) from error
    finally:
        if answer is None:
            await _withdraw(resources, message)
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


async def _wait(resources: Resources, request: EmbedRequest) -> bytes | None:
    seconds = max(request.expires_at - time.time(), 0.01)
    popped = await resources.async_redis.blpop([result_key(request.id)], timeout=seconds)
    return bytes(popped[1]) if popped else None  # type: ignore[arg-type]


async def _withdraw(resources: Resources, message: bytes) -> None:
    """Take back a request that nobody waits for; if Redis is away, it expires by itself."""
    try:
        await resources.async_redis.lrem(EMBED_PENDING_KEY, 1, message)  # type: ignore[arg-type]
    except RedisError:
        log.warning("a pending embedding request could not be withdrawn; it will expire")


def _away(error: Exception) -> ApiError:
    return unavailable("queue_unavailable", f"Redis does not answer: {error}", RETRY_SECONDS)


def _worker_error(error: EmbedError) -> ApiError:
    status = _STATUSES.get(error.code, 500)
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else None
    return ApiError(status, error.code, error.message, headers=headers)
