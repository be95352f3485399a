"""The size of request bodies and the time they take, enforced while they arrive."""

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ApiError

MIN_BYTES_PER_SECOND = 50_000
"""A body may take longer than `seconds` if it arrives faster than this."""

_DRAIN_BYTES, _DRAIN_SECONDS = 2**24, 5


class BodyLimit:
    """Refuses bodies that are too large (413), announced or not, or too slow (408).

    Starlette has a middleware for the size too, but it answers in plain text.

    Args:
        limits: bytes by path; `default` holds for all other paths.
        seconds: time for a small body to arrive.
    """

    def __init__(
        self, app: ASGIApp, limits: Mapping[str, int], default: int, seconds: float
    ) -> None:
        self.app, self.limits, self.default, self.seconds = app, limits, default, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.limits.get(scope["path"].rstrip("/"), self.default)
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and (len(announced) > 19 or int(announced) > limit):
            if "expect" not in headers:
                await _drain(receive)
            await ApiError(413, "body_too_large", _too_large(limit)).response()(
                scope, receive, send
            )
            return
        await self.app(scope, _Limited(receive, limit, self.seconds), send)


class _Limited:
    """`receive` of one request; errors are of the type that FastAPI passes on from its readers."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive, self._limit, self._seconds = receive, limit, seconds
        self._received, self._more = 0, True
        self._started_at = asyncio.get_running_loop().time()

    async def __call__(self) -> Message:
        if not self._more:  # nothing comes any more but the end of the connection
            return await self._receive()
        allowed = self._seconds + self._received / MIN_BYTES_PER_SECOND
        try:
            async with asyncio.timeout_at(self._started_at + allowed):
                message = await self._receive()
        except TimeoutError:
            detail = f"the body has not arrived within {allowed:.0f} s; send it faster"
            raise HTTPException(408, detail, {"Connection": "close"}) from None
        self._received += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        if self._received > self._limit:
            if self._more:
                await _drain(self._receive)
            raise HTTPException(413, _too_large(self._limit))
        return message


async def _drain(receive: Receive) -> None:
    """Read on for a moment: a client that is cut off while it sends may not see the answer."""
    received, more = 0, True
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while more and received < _DRAIN_BYTES:
                message = await receive()
                received += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        return


def _too_large(limit: int) -> str:
    return f"the body is larger than the {limit:,} bytes that this call takes"
