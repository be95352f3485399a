"""Where the trainings of this host are reached by those of other hosts."""

import logging
import socket
from functools import cache

from sqlalchemy import make_url

from paka.nodes import join_endpoint, local_address
from service.store.settings import Settings, is_loopback

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


def node_address(settings: Settings) -> str:
    """The address of the settings, else this host's own on the way to Redis or the database.

    A loopback address where both are on this host: then no other host takes part.
    """
    return settings.node_address or _found(settings.redis, settings.database)


def new_rendezvous(address: str) -> str:
    """A free port of this host, as `host:port`; whatever else opens ports may still take it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server(("", 0), family=family) as probe:
        return join_endpoint(address, probe.getsockname()[1])


def _found(*urls: str) -> str:
    for url in urls:
        parsed = make_url(url)
        if not parsed.host:
            continue
        try:
            address = _way_to(parsed.host, parsed.port or 1)
        except OSError as error:
            log.warning("no way to %s: %s", parsed.host, error)
            continue
        if not is_loopback(address):
            return address
    return LOOPBACK


@cache  # but no failure: a name may be unknown for a moment
def _way_to(host: str, port: int) -> str:
    return local_address(host, port)
