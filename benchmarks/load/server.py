"""The server under load: `paka-server up` on a home of its own, and the memory it takes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

START_SECONDS = 180
_SAMPLE_SECONDS = 0.1
# What is measured is how fast jobs are accepted, not how soon there are too many.
_LIMITS = {"PAKA_USER_QUEUED_JOBS": "100000", "PAKA_QUEUE_LIMIT": "100000"}


class Server:
    """A running server.

    Args:
        home: its folder.
        process: `paka-server up`.
        old_job: after it comes the last page of the list.
    """

    def __init__(
        self, url: str, home: Path, process: "subprocess.Popen[bytes]", old_job: str
    ) -> None:
        self.url, self.home, self._process, self.old_job = url, home, process, old_job

    def part(self, argument: str) -> psutil.Process:
        """The part of the server with this text in an argument of its command line."""
        children = psutil.Process(self._process.pid).children()
        return next(one for one in children if any(argument in word for word in one.cmdline()))

    def get(self, path: str) -> Any:
        """Ask for JSON."""
        return httpx.get(self.url + path, timeout=30).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON, and return the answer's."""
        return httpx.post(self.url + path, json=body, timeout=30).raise_for_status().json()


class Use:
    """What a process and its children take while the block lasts: memory at its peak, in bytes, and
    processor time.

    What they share of memory is counted once: of children the pages that are theirs alone.
    """

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._stopped = process, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak = 0
        self.cpu_seconds = 0.0

    def __enter__(self) -> "Use":
        self.cpu_seconds = -self._cpu()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self.cpu_seconds += self._cpu()

    def _cpu(self) -> float:
        processes = [self._process, *self._process.children(recursive=True)]
        return sum(sum(process.cpu_times()[:2]) for process in processes)

    def _watch(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            now = self._process.memory_info().rss
            for child in self._process.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    now += child.memory_full_info().uss
            self.peak = max(self.peak, now)


@contextmanager
def running(home: Path, data: Path, old_job: str = "", **settings: str) -> Iterator[Server]:
    """Run a server for as long as the block lasts; its log is `server.log` in its home.

    Args:
        settings: more environment variables.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "service.cli", "up", "--home", str(home)]
    command += ["--port", str(port), "--data", str(data)]
    environment = os.environ | _LIMITS | settings
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        server = Server(f"http://127.0.0.1:{port}", home, process, old_job)
        _wait_until_ready(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _wait_until_ready(server: Server, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.HTTPError):
            server.get("/ready")
            return
        time.sleep(0.2)
    raise SystemExit("the server did not become ready; see server.log in its home")
