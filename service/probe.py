"""Whether a part of the service is alive, seen from outside: for `up`, and for health checks."""

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from typing import Any

from redis import Redis, RedisError

from service.store.broker import make_redis
from service.store.contract import worker_key
from service.store.settings import Settings

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  to ask, not to listen


def address(settings: Settings) -> str:
    """The API's URL as seen from this machine."""
    host = _EVERY_ADDRESS.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def api_answers(settings: Settings, path: str) -> bool:
    """Whether the API answers GET `path` with a success."""
    try:
        # No proxy: the API is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address(settings) + path, timeout=5):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def redis_answers(redis: Redis) -> bool:
    """Whether the Redis server answers."""
    try:
        return bool(redis.ping())
    except RedisError:
        return False


def worker_is_here(settings: Settings, kind: str) -> bool:
    """Whether a live worker of `kind` (`jobs` or `embed`) on this host announces itself."""
    try:
        with make_redis(settings) as redis:
            values = [redis.get(key) for key in redis.scan_iter(worker_key(kind, "*"))]
    except RedisError:
        return False
    # An announcement may expire between the two calls.
    workers: list[dict[str, Any]] = [json.loads(str(value, "utf-8")) for value in values if value]
    return any(w["host"] == socket.gethostname() and _is_running(w["pid"]) for w in workers)


def _is_running(pid: int) -> bool:
    """Whether the process is there; the announcement of one that was killed stays a while."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        pass
    return True


def gpus_answer() -> bool:
    """Whether the GPUs can be reached; True on a machine that has none.

    A container can lose its GPUs while it runs (when the host reloads systemd); then only
    `nvidia-smi` notices.
    """
    command = shutil.which("nvidia-smi")
    if command is None:
        return True
    try:
        return subprocess.run([command, "-L"], capture_output=True, timeout=20).returncode == 0
    except subprocess.TimeoutExpired:
        return False
