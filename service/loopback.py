"""Requests to a server that is open to its own machine: none from elsewhere, nor from a web page of
somebody else's.

Without keys, whatever reaches the server may use it; and a page that a user of this machine looks
at can send requests to it, under a name of its own that leads here (DNS rebinding) or as another
origin.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import ApiError
from service.session.cookie import SAFE_METHODS, is_origin_of
from service.store.settings import is_loopback


class LocalRequestsOnly:
    """Refuses requests from other machines, under other names, and changes from other origins."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        problem = _problem(scope) if scope["type"] == "http" else None
        await (problem.response() if problem else self.app)(scope, receive, send)


def _problem(scope: Scope) -> ApiError | None:
    headers = Headers(scope=scope)
    if not _comes_from_here(scope, headers):
        detail = "this server asks for no keys, and serves its own machine only: set PAKA_AUTH=on"
        return ApiError(403, "not_local", detail)
    host, origin = headers.get("host", ""), headers.get("origin")
    if not is_loopback(_host_name(host)):
        detail = (
            f"the request is for {host!r}; this server is open to its own machine only, as "
            "localhost or 127.0.0.1"
        )
        return ApiError(421, "wrong_host", detail)
    if scope["method"] in SAFE_METHODS or origin is None:
        return None
    if not is_origin_of(origin, host):
        detail = f"pages of {origin!r} may not send requests to this server"
        return ApiError(403, "cross_origin", detail)
    return None


def _comes_from_here(scope: Scope, headers: Headers) -> bool:
    """Whether a client on this machine sent it, and no proxy sends it on for others."""
    address = scope["client"][0] if scope["client"] else "localhost"  # none: a Unix socket
    forwarded = "forwarded" in headers or "x-forwarded-for" in headers
    return is_loopback(address) and not forwarded


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
