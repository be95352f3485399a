"""What endpoints are given: the application's connections, made once, closed at its end."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import Depends, Header, Request

from service.errors import ApiError
from service.store.session import Database
from service.store.settings import Settings

if TYPE_CHECKING:  # slow to import, and needed only once the application runs
    from celery import Celery
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

    from service.auth.keyring import Keyring
    from service.auth.rate_limits import RateLimits
    from service.child_pool import ChildPool
    from service.embed.admission import Admission
    from service.embed.cache import FeatureCache
    from service.queue import JobQueue
    from service.store.versions import DatabaseVersion


class Resources(NamedTuple):
    """The connections of one application, the processes that read what users send, and what is
    known of the database's version and of features.
    """

    settings: Settings
    database: Database
    queue: "JobQueue"
    celery: "Celery"
    redis: "Redis"
    async_redis: "AsyncRedis"
    decoders: "ChildPool"
    unpackers: "ChildPool"
    version: "DatabaseVersion"
    keyring: "Keyring"
    rate_limits: "RateLimits"
    admission: "Admission"
    features: "FeatureCache"


async def get_resources(request: Request) -> Resources:
    """The connections of the application that serves this request."""
    resources: Resources = request.app.state.resources
    return resources


def require_json(request: Request) -> None:
    """Raise 415 unless the body is declared as JSON."""
    if content_type(request) != "application/json":
        raise wrong_content_type(request, "application/json")


def content_type(request: Request) -> str:
    """The media type of the request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wrong_content_type(request: Request, *right: str) -> ApiError:
    """415: the body is of a kind that this call does not take."""
    given = request.headers.get("content-type", "nothing")
    detail = f"Content-Type is {given!r}; send {' or '.join(right)}"
    return ApiError(415, "wrong_content_type", detail)


ResourcesDep = Annotated[Resources, Depends(get_resources)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="Any text of yours. Sent again with the same body, it gives the same job "
        "instead of a second one.",
        examples=["post-train-2026-11-23"],
    ),
]
