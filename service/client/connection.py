"""What the two clients share before anything is sent."""

from importlib.metadata import version
from typing import Any

import httpx

from service.client.profile import choose
from service.client.retries import Retries

CONNECT_SECONDS = 5.0
RETRIES = 5
TIMEOUT_SECONDS = 90.0
"""Longer than the service takes at most for an embedding request."""


def http_options(url: str | None, key: str | None, timeout: float) -> dict[str, Any]:
    """What `httpx.Client` and `httpx.AsyncClient` are made with.

    Raises:
        ConfigError: the address or the key cannot be one.
    """
    profile = choose(url, key)
    headers = {"User-Agent": f"paka-client/{version('paka-service')}"}
    if profile.key:
        headers["Authorization"] = f"Bearer {profile.key}"
    return {
        "base_url": profile.url,
        "headers": headers,
        "timeout": httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
    }


def chosen(retries: int | Retries) -> Retries:
    """How often to try again, and with which pauses."""
    return retries if isinstance(retries, Retries) else Retries(most=retries)
