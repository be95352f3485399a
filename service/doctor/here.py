"""The service on this machine: its settings, and all that they lead to."""

import os
from collections.abc import Iterator

from paka.doctor.finding import Finding, Request, Topic, not_applicable


def check(request: Request) -> Iterator[Finding]:
    """Nothing if another machine's server is asked about."""
    if request.url is not None:
        return
    from service.doctor import settings

    yield from settings.unknown(os.environ)
    found, findings = settings.read(os.environ)
    yield from findings
    if found is None:
        return
    if not settings.is_used(found, os.environ):
        reason = f"none here: there is no folder {found.home_folder}, and PAKA_HOME is not set"
        yield not_applicable("service", reason, "paka-server up, or make demo")
        return
    from service.doctor import database, home, redis, running

    yield from home.check(found)
    yield from database.check(found)
    yield from running.check(found, redis.check(found))


TOPIC = Topic("Service", check)
