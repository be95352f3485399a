"""The command line of each part of the service, and the environment that they run in."""

import json
import os
import sys
from pathlib import Path

from paka.process import WAIT_ASLEEP
from service.store.contract import EMBED_QUEUE, JOBS_QUEUE
from service.store.settings import Settings

STREAM_SECONDS = 5
"""Time that a stopping API gives to open requests; event streams would stay for ever."""

WORKERS = {
    # Jobs are processes of their own: a thread that waits for each is enough. The worker knows how
    # many it has slots for.
    "jobs": ["-Q", JOBS_QUEUE, "-P", "threads"],
    # The encoders are in the worker's own memory: CUDA cannot be used in a forked child.
    "embed": ["-Q", EMBED_QUEUE, "-P", "solo"],
}


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with what was settled on the command line."""
    return {
        **WAIT_ASLEEP,
        **os.environ,
        "PAKA_HOME": str(settings.home_folder),
        "PAKA_REDIS_URL": settings.redis,
        "PAKA_DATA_ROOTS": json.dumps([str(root) for root in settings.data_folders]),
        "PAKA_HOST": settings.host,
        "PAKA_PORT": str(settings.port),
    }


def api(settings: Settings) -> list[str]:
    """Serve HTTP."""
    return [
        *(sys.executable, "-m", "uvicorn", "service.serve:create_app", "--factory"),
        *("--host", settings.host, "--port", str(settings.port)),
        *("--timeout-graceful-shutdown", str(STREAM_SECONDS)),
        # httptools, if it is there, would take heads of requests of any size into memory.
        *("--http", "h11"),
        *_proxy_options(settings.trusted_proxies),
    ]


def _proxy_options(trusted: str) -> tuple[str, ...]:
    """Whom to believe about a client's address: uvicorn's own default is this whole machine."""
    if not trusted:
        return ("--no-proxy-headers",)
    return ("--proxy-headers", "--forwarded-allow-ips", trusted)


def worker(queue: str, name: str | None = None) -> list[str]:
    """Work on `jobs` or `embed`; `name` tells two workers of one queue and host apart."""
    return [
        *(sys.executable, "-m", "celery", "--quiet", "-A", "worker.app", "worker"),
        *(*WORKERS[queue], "-n", f"{name or queue}@%h", "--loglevel", "INFO"),
        # Workers never need to know of one another; the chatter would only slow their start.
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def redis(executable: str, folder: Path, socket: Path) -> list[str]:
    """Serve a private Redis on a Unix socket, in memory: all that must last is in the database.

    Writing what waits would have embedding wait for the disk while a training writes to it.
    """
    return [
        *(executable, "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--appendonly", "no", "--save", ""),
        *("--maxmemory-policy", "noeviction", "--loglevel", "warning"),
    ]
