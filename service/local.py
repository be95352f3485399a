"""Several parts of the service on this machine in one command: `paka-server up` and `worker`."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import OperationalError

from service import commands, preflight, probe
from service.preflight import StartError
from service.processes import ProcessGroup, StopAskedError
from service.store.broker import make_redis
from service.store.logs import as_json_of
from service.store.migrate import upgrade
from service.store.settings import Settings
from service.users.accounts import FIRST_ADMIN, make_first_admin

START_SECONDS = 120
REDIS_START_SECONDS = 20
MARGIN_SECONDS = 10
"""What a worker may take on top of `stop_seconds`, the time that it gives to a job's process."""

MAX_SOCKET_PATH = 100
"""Bytes in the path of a Unix socket: the kernel takes 107, a client library may add a few."""

FIRST_ADMIN_TEXT = """
The first user was made: {name}. Their key, shown this once only:

    {key}

It goes into the header `Authorization: Bearer …` of every request. `paka-server user` adds others.
"""

_REDIS, _WORKERS, _API = range(3)  # stages: the API stops first, then the workers, then Redis


def up(settings: Settings) -> None:
    """Run the API, both workers and, without a `redis_url`, a private Redis, until a signal.

    Raises:
        StartError: it cannot start; whatever had started has been stopped.
        service.processes.ChildDiedError: a part ended by itself; the others have been stopped.
    """
    preflight.check_worker_packages()
    port = _find_port(settings)
    preflight.make_folders(settings)
    home = settings.home_folder
    with preflight.lock_home(home) as lock, private_socket(home) as socket:
        private = not settings.redis_url
        update = {"port": port, "redis_url": settings.redis_url or f"unix://{socket}"}
        settings = settings.model_copy(update=update)
        # Children keep the lock: a home is free again when the last of them has ended.
        with _process_group(settings, lock) as group:
            if private:
                command = commands.redis(preflight.find_redis(), home / "redis", socket)
                group.start("redis", command, commands.environment(settings), _REDIS)
            start(group, settings)
            for line in description(settings):
                group.say(line)
            group.run()


def _find_port(settings: Settings) -> int:
    """The port; that it is taken by who has this home already is no reason to choose another."""
    try:
        return preflight.find_port(settings.host, settings.port)
    except preflight.StartError:
        if settings.home_folder.is_dir():
            with preflight.lock_home(settings.home_folder):
                raise
        raise


def run_workers(settings: Settings, name: str | None) -> None:
    """Run a worker for each queue until a signal.

    Raises:
        service.processes.ChildDiedError: one ended by itself; the other has been stopped.
    """
    with _process_group(settings) as group:
        for queue in commands.WORKERS:
            group.start(queue, commands.worker(queue, name), commands.environment(settings))
        group.run()


def start(group: ProcessGroup, settings: Settings) -> None:
    """Migrate, start workers and API, and return when all are ready.

    Raises:
        StartError: a part does not answer in time, or the database cannot be used.
    """
    migrate(settings)
    announce_first_admin(settings)
    with make_redis(settings) as redis:
        if not group.wait_until(lambda: probe.redis_answers(redis), REDIS_START_SECONDS):
            raise StartError(f"Redis did not answer for {REDIS_START_SECONDS} s")
    environment = commands.environment(settings)
    for queue in commands.WORKERS:
        group.start(queue, commands.worker(queue), environment, _WORKERS)
    group.start("api", commands.api(settings), environment, _API)
    if not group.wait_until(lambda: is_ready(settings), START_SECONDS):
        raise StartError(f"the service was not ready after {START_SECONDS} s: see its log above")


def is_ready(settings: Settings) -> bool:
    """Whether both workers have announced themselves, and the API finds all that it needs."""
    workers = all(probe.worker_is_here(settings, queue) for queue in commands.WORKERS)
    return workers and probe.api_answers(settings, "/ready")


def migrate(settings: Settings) -> None:
    """Bring the database to this version's tables, making the SQLite file's folder if needed.

    Raises:
        StartError: the database cannot be used.
    """
    if not settings.database_url:
        settings.home_folder.mkdir(parents=True, exist_ok=True)
    try:
        upgrade(settings.database)
    except OperationalError as error:
        raise StartError(f"the database cannot be used: {str(error.orig).strip()}") from error


def announce_first_admin(settings: Settings) -> None:
    """Where keys are needed and nobody has one, make an admin and print the key, once and for all.

    A database that cannot be used yet is no error: the API starts without it too.
    """
    try:
        key = make_first_admin(settings)
    except (StartError, OperationalError) as error:
        reason = str(getattr(error, "orig", error)).strip()
        print(f"note: whether anybody has a key is unknown: {reason}", file=sys.stderr)
        return
    if key is not None:
        print(FIRST_ADMIN_TEXT.format(name=FIRST_ADMIN, key=key), flush=True)


def description(settings: Settings) -> list[str]:
    """Where the service is, and a first request."""
    url = probe.address(settings)
    header = "-H 'Authorization: Bearer paka_…' " if settings.needs_keys else ""
    note = preflight.exposure(settings.host)
    return [
        f"ready  {url} (documentation: {url}/docs)",
        f"home   {settings.home_folder}",
        *(f"data   {root}" for root in settings.roots),
        f"try    curl {header}{url}/jobs",
        "stop   Ctrl-C",
        *([note] if note else []),
    ]


@contextmanager
def private_socket(home: Path) -> Iterator[Path]:
    """Yield `<home>/redis.sock`, or a path in a temporary folder if that would be too long."""
    path = home / "redis.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="paka-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "redis.sock"


@contextmanager
def _process_group(settings: Settings, *inherited: int) -> Iterator[ProcessGroup]:
    render = as_json_of if settings.log_format == "json" else None
    with ProcessGroup(settings.stop_seconds + MARGIN_SECONDS, inherited, render) as group:
        try:
            yield group
        except StopAskedError:
            group.say("stopping; Ctrl-C once more kills what is still running")
