"""Headers on every answer that tell a browser to do no more with it than is meant."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# An answer that needs more (a report's page, the reference) says so itself.
DEFAULTS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def secure(headers: MutableHeaders) -> None:
    """Add what an answer's headers lack."""
    for name, value in DEFAULTS.items():
        headers.setdefault(name, value)
    if headers.get("content-type", "").partition(";")[0].endswith("json"):
        headers.setdefault("Cache-Control", "no-store")


class SecurityHeaders:
    """Adds the headers to all answers of an application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure(MutableHeaders(scope=message))
            await send(message)

        await self.app(scope, receive, secured)
