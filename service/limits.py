"""The size of request bodies, enforced while they arrive."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ApiError


class BodyLimit:
    """Refuses bodies that are too large with 413, whether they announce their size or not.

    Starlette has such a middleware too, but it answers in plain text.

    Args:
        limits: bytes by path; `default` holds for all other paths.
    """

    def __init__(self, app: ASGIApp, limits: Mapping[str, int], default: int) -> None:
        self.app, self.limits, self.default = app, limits, default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.limits.get(scope["path"].rstrip("/"), self.default)
        detail = f"the body is larger than the {limit:,} bytes that this call takes"
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > limit:
            response = ApiError(413, "body_too_large", detail).response()
            await response(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # FastAPI passes this type on from whatever was reading the body.
                raise HTTPException(413, detail)
            return message

        await self.app(scope, limited, send)
