"""The door: no request passes without a key that works, and none too often."""

import hmac
import ipaddress

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security.utils import get_authorization_scheme_param
from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp, Receive, Scope, Send

from service import reference
from service.audit.log import audit
from service.auth.actor import COLLECTOR, Actor
from service.deps import Resources
from service.errors import ApiError, database_away
from service.session import cookie
from service.store.settings import Settings
from service.web import site

OPEN_PATHS = ("/", "/health", "/ready", "/openapi.json", "/docs")
OPEN_FOLDERS = (f"{reference.FILES}/", f"{site.FILES}/")
FAILURES_A_MINUTE = 30
"""Requests without a good key that one address may send."""

NOTED_FAILURES_A_MINUTE = 20
"""Refused keys that the audit log notes, from all addresses: nobody can flood it."""


class KeysOnly:
    """Finds out who asks, by the key; whoever has none gets 401, and who asks too often 429."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] != "/health":
            problem = await _find_problem(Request(scope))
            if problem is not None:
                await problem.response()(scope, receive, send)
                return
        await self.app(scope, receive, send)


async def _find_problem(request: Request) -> ApiError | None:
    try:
        await _admit(request)
    except ApiError as error:
        return error
    except DBAPIError as error:
        return database_away(error)
    return None


async def _admit(request: Request) -> None:
    resources: Resources = request.app.state.resources
    settings, path = resources.settings, request.url.path
    address = request.client.host if request.client else "unknown"
    if path in OPEN_PATHS or path.startswith(OPEN_FOLDERS):
        await _limit(resources, settings.rate_limit, "address", _network(address))
        return
    key = key_of(request)
    if path == "/metrics" and _is_collector(settings, key):
        await _limit(resources, settings.rate_limit, "address", _network(address))
        request.state.actor = COLLECTOR._replace(address=address)
        return
    actor = await _identify(resources, key) if key else None
    if actor is None:
        await _refuse(resources, address, key)
        return
    request.state.actor = actor._replace(address=address)
    if path == "/embed":
        await _limit(resources, settings.embed_rate_limit, "embed", str(actor.key_id))
    else:
        await _limit(resources, settings.rate_limit, "key", str(actor.key_id))


def key_of(request: Request) -> str:
    """The key in the request's header, else in its cookie; empty if there is none.

    Raises:
        ApiError: 403; the cookie comes with a request of somebody else's page.
    """
    header = request.headers.get("authorization")
    if header is None:
        return cookie.read(request)
    scheme, key = get_authorization_scheme_param(header)
    return key if scheme.lower() == "bearer" else ""


def _is_collector(settings: Settings, token: str) -> bool:
    secret = settings.metrics_token
    return secret is not None and hmac.compare_digest(
        secret.get_secret_value().encode(), token.encode()
    )


async def _identify(resources: Resources, token: str) -> Actor | None:
    known = resources.keyring.recall(token)
    return known or await run_in_threadpool(resources.keyring.find, token)


async def _limit(resources: Resources, limit: int, *names: str) -> None:
    """Count this request, or raise 429."""
    if await resources.rate_limits.count(limit, *names):
        return
    seconds = await resources.rate_limits.seconds_to_wait(limit, *names)
    headers = {
        "Retry-After": str(seconds),
        "RateLimit-Policy": f'"{names[0]}";q={limit};w=60',
        "RateLimit": f'"{names[0]}";r=0;t={seconds}',
    }
    detail = f"more than {limit} requests in a minute; try again in {seconds} s"
    raise ApiError(429, "rate_limited", detail, headers=headers)


async def _refuse(resources: Resources, address: str, token: str) -> None:
    """Answer the same whatever is wrong with a key, so that nobody learns which keys there are."""
    network = _network(address)
    await _limit(resources, FAILURES_A_MINUTE, "refused", network)
    if token and await _is_worth_noting(resources, network):
        await run_in_threadpool(_note, resources, address)
    detail = "this takes a key that works, in the header `Authorization: Bearer paka_…`"
    raise ApiError(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


async def _is_worth_noting(resources: Resources, network: str) -> bool:
    count = resources.rate_limits.count
    return await count(1, "noted", network) and await count(NOTED_FAILURES_A_MINUTE, "noted")


def _note(resources: Resources, address: str) -> None:
    with resources.database.write() as session:
        audit(session, None, "key.refused", address=address)


def _network(address: str) -> str:
    """The part of an address that its user cannot choose: of IPv6 the first 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    prefix = 64 if parsed.version == 6 else 32
    return str(ipaddress.ip_network((parsed, prefix), strict=False).network_address)
