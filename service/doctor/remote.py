"""A server elsewhere: whether it is reached, by TLS, with a key, and ready."""

import socket
import ssl
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import httpx

from paka.doctor.finding import Finding, Request, Topic, not_applicable, ok, problem, warning
from paka.errors import ConfigError
from service.client.profile import checked_key, checked_url

VERSION = version("paka-service")

_SECONDS = 10.0
_DAYS = 14


def check(request: Request) -> Iterator[Finding]:
    """Nothing unless an address was given."""
    if request.url is None:
        return
    url = request.url if "://" in request.url else f"https://{request.url.strip()}"
    try:
        place = httpx.URL(checked_url(url))
    except ConfigError as error:
        yield problem("address", str(error), "--url https://paka.lab.example")
        return
    yield from certificate(place.host, place.port or 443, place.scheme)
    with httpx.Client(base_url=place, timeout=_SECONDS) as client:
        try:
            yield from _server(client, request.key)
        except httpx.HTTPError as error:
            remedy = "is the name right, the server up, and no firewall between?"
            yield problem("server", f"cannot be reached: {error}", remedy)


def certificate(host: str, port: int, scheme: str) -> Iterator[Finding]:
    """Whether the certificate is one that this machine trusts, and for how long."""
    if scheme == "http":
        if host not in ("localhost", "127.0.0.1", "::1"):
            found = f"plain http to {host}: keys cross the network unencrypted"
            yield warning("TLS", found, "docker-compose.yml's profile tls, and https://")
        return
    try:
        with (
            socket.create_connection((host, port), timeout=_SECONDS) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured,
        ):
            about: dict[str, Any] = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        remedy = "renew it; or trust its authority: export SSL_CERT_FILE=root.crt"
        yield problem("TLS", f"the certificate is not valid: {error.verify_message}", remedy)
        return
    except OSError:
        return  # the request that follows says why
    days = (ssl.cert_time_to_seconds(str(about["notAfter"])) - time.time()) / 86400
    found = f"valid for {days:.0f} more days" if days >= 2 else f"valid for {24 * days:.0f} more h"
    # Caddy's own authority and others give certificates for hours, and renew them in time.
    lifetime = days + (time.time() - ssl.cert_time_to_seconds(str(about["notBefore"]))) / 86400
    if days < min(_DAYS, lifetime / 4):
        yield warning("TLS", found, "renew the certificate, and look why that did not happen")
    else:
        yield ok("TLS", found)


def _server(client: httpx.Client, key: str | None) -> Iterator[Finding]:
    health = client.get("/health")
    if health.next_request:
        elsewhere = str(health.next_request.url).removesuffix("/health")
        found = f"answers {health.status_code}: it is at {elsewhere}"
        yield problem("server", found, f"use that address: --url {elsewhere}")
        return
    try:
        theirs = health.json()["version"]
    except (ValueError, KeyError, TypeError):
        found = f"answers {health.status_code}, and is no PaKA Service"
        yield problem("server", found, "is the address right, with its port?")
        return
    shown = f"version {theirs}"
    if theirs == VERSION:
        yield ok("server", shown)
    else:
        yield warning("server", f"{shown}, here is {VERSION}", "update the older of the two")
    yield _key(client, key)
    yield _ready(client)


def _key(client: httpx.Client, given: str | None) -> Finding:
    try:
        key = checked_key(given)
    except ConfigError as error:
        return problem("key", str(error), "--key paka_… or export PAKA_KEY=paka_…")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    status = client.get("/jobs", params={"limit": 1}, headers=headers).status_code
    if status == 401 and key:
        return problem("key", "is refused", "ask an admin for another: paka-server user key NAME")
    if status == 401:
        return not_applicable("key", "none given", "--key paka_… or export PAKA_KEY=paka_…")
    if status != 200:
        return problem("key", f"GET /jobs answers {status}", "see the server's log")
    return ok("key", "works" if key else "none needed")


def _ready(client: httpx.Client) -> Finding:
    answer = client.get("/ready")
    if answer.status_code == 200:
        return ok("ready", "database, Redis and workers are there")
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"it answers {answer.status_code}"
    return problem("ready", f"no: {detail}", "paka doctor on the server says more")


TOPIC = Topic("Server", check)
