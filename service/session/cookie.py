"""The cookie in which a browser keeps a key, and which requests with it are the page's own.

It holds the key itself: whoever revokes the key, or whose key expires, has ended the session.
"""

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response

from service.errors import ApiError

NAME = "paka_session"
SECONDS = 30 * 86_400
"""A browser forgets the key after this long."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def put(request: HTTPConnection, response: Response, key: str) -> None:
    """Make the browser send this key along; over HTTPS, also that of a trusted proxy, only so."""
    response.set_cookie(
        NAME,
        key,
        max_age=SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def drop(request: HTTPConnection, response: Response) -> None:
    """Make the browser forget the key."""
    secure = request.url.scheme == "https"
    response.delete_cookie(NAME, httponly=True, samesite="strict", secure=secure)


def read(request: HTTPConnection) -> str:
    """The key in the cookie; empty without one.

    Raises:
        ApiError: 403; the browser sent it for a page of somebody else's.
    """
    key = request.cookies.get(NAME, "")
    if key and not _is_own(request.scope["method"], request.headers):
        detail = "pages of other servers may not act for whoever is signed in here"
        raise ApiError(403, "cross_origin", detail)
    return key


def _is_own(method: str, headers: Headers) -> bool:
    """Whether the request comes from this server's page; to look, from an address bar will do."""
    site = headers.get("sec-fetch-site")
    if method in SAFE_METHODS:
        return site != "cross-site"
    if site is not None:
        return site == "same-origin"
    return is_origin_of(headers.get("origin", ""), headers.get("host", ""))


def is_origin_of(origin: str, host: str) -> bool:
    """Whether a page of this origin comes from this host; the scheme, a proxy may have changed."""
    return origin.lower().partition("://")[2] == host.lower() != ""
