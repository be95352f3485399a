"""Whether the API and the workers run, and are of this version."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from redis import RedisError

from paka.doctor.finding import Finding, Level, not_applicable, ok, problem, warning
from service import preflight, probe
from service.health.service import KINDS, find_workers
from service.store.broker import make_redis
from service.store.settings import Settings

VERSION = version("paka-service")


def check(settings: Settings, redis: Sequence[Finding]) -> Iterator[Finding]:
    """Look for the API on its port, and for workers in Redis.

    Args:
        redis: what was found of Redis; where nothing of the service runs, its own private Redis
            need not run either.
    """
    health = api_health(settings)
    away = any(finding.check == "Redis" and finding.level is Level.PROBLEM for finding in redis)
    if health is None and away and not settings.redis_url:
        yield _port(settings)
        yield not_applicable("service", "does not run", "paka-server up")
        return
    yield from redis
    yield _port(settings) if health is None else _api(settings, health)
    if not away:
        yield from workers(settings, running=health is not None)


def api_health(settings: Settings) -> dict[str, Any] | None:
    """What `/health` says on this machine; None if nobody answers, {} if it is no API of ours."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{probe.address(settings)}/health", timeout=5) as answer:
            found = json.loads(answer.read(10_000))
    except urllib.error.HTTPError:
        return {}
    except OSError:
        return None
    except (http.client.HTTPException, ValueError):  # not HTTP, such as SSH; or not JSON
        return {}
    return found if isinstance(found, dict) and "version" in found else {}


def _api(settings: Settings, health: dict[str, Any]) -> Finding:
    place = probe.address(settings)
    if not health:
        found = f"something else answers at {place}"
        return problem("API", found, "end that, or choose another port by PAKA_PORT")
    if health["version"] != VERSION:
        found = f"{place} runs version {health['version']}, installed is {VERSION}"
        return warning("API", found, "restart the API")
    return ok("API", f"{place}, version {VERSION}")


def _port(settings: Settings) -> Finding:
    try:
        preflight.find_port(settings.host, settings.port)
    except preflight.StartError as error:
        return problem("port", str(error), "end what uses it, or set PAKA_HOST and PAKA_PORT")
    return ok("port", f"{settings.port} of {settings.host} is free")


def workers(settings: Settings, *, running: bool) -> Iterator[Finding]:
    """One finding for each live worker, and one for each kind that has none."""
    try:
        with make_redis(settings) as redis:
            found = find_workers(redis)
    except RedisError:  # it went away since it was looked at
        return
    for kind in KINDS:
        alike = [worker for worker in found if worker.kind == kind]
        for worker in alike:
            shown = f"{worker.name} on {worker.device}, version {worker.version}"
            if worker.problem:
                yield problem(f"worker: {kind}", f"{shown}: {worker.problem}", "restart it")
            elif worker.version != VERSION:
                found_version = f"{shown}; installed is {VERSION}"
                yield warning(f"worker: {kind}", found_version, "restart the older one")
            else:
                yield ok(f"worker: {kind}", shown)
        if not alike:
            level = Level.PROBLEM if running else Level.NOT_APPLICABLE
            yield Finding(f"worker: {kind}", level, "none", f"paka-server worker --queue {kind}")
