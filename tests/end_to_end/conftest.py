"""The whole service as its admin starts it: `paka-server up`, all of it real."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(client, process, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail("not ready in time:\n" + log.read_text())


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def service(request, photos, labelled_photos, tmp_path_factory):
    """A client of a running service; jobs may read `photos` and `labelled_photos`."""
    folder = tmp_path_factory.mktemp("service")
    home, log = folder / "home", folder / "server.log"
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "up", "--port", str(port)]
    command += ["--home", str(home), "--data", str(photos)]
    command += ["--data", str(labelled_photos)]
    environment = dict(os.environ)
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        server.psql("CREATE DATABASE end_to_end")
        environment["PAKA_DATABASE_URL"] = server.get_uri("end_to_end")
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_ready(client, process, log)
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
