"""Parts of the service with passwords that do not work: no log and no answer tells them.

They log as JSON here, and so show that all that they print is.
"""

import json
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from service import commands
from service.preflight import find_port
from service.store.settings import Settings

PASSWORD = "correct-horse-battery"


@pytest.fixture
def environment(tmp_path):
    """Addresses with passwords at which nobody answers."""
    return {
        **os.environ,
        "PAKA_HOME": str(tmp_path),
        "PAKA_DATABASE_URL": f"postgresql://paka:{PASSWORD}@127.0.0.1:1/paka",
        "PAKA_REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1/0",
        "PYTHONUNBUFFERED": "1",
        "PAKA_LOG_FORMAT": "json",
    }


@pytest.fixture
def start(tmp_path):
    """Starts a command; returns a function that ends it and gives back what it printed."""
    started = []

    def start(command, environment):
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        started.append(process)

        def end():
            process.send_signal(signal.SIGKILL)
            process.wait()
            return (tmp_path / "log").read_text()

        return end

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def test_the_api_tells_no_password(environment, start, tmp_path):
    port = find_port("127.0.0.1", 0)
    end = start(commands.api(Settings(port=port)), environment)
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: _answers(url))
    answers = [
        httpx.get(f"{url}/ready", timeout=30),
        httpx.get(f"{url}/jobs", timeout=30),
        httpx.post(f"{url}/embed", json={"images": ["aGk="], "encoder": "test_vit@random"}),
    ]
    # A request's line is written once its answer is out, so the answer may be here before it.
    named = {answer.headers["x-request-id"] for answer in answers}
    wait_for(lambda: named <= _logged(tmp_path / "log"))
    log = end()
    assert all(answer.status_code >= 500 for answer in answers)
    assert "127.0.0.1" in log or "Traceback" in log
    for text in (log, *(answer.text for answer in answers)):
        assert PASSWORD not in text, text[-3000:]
    lines = [json.loads(line) for line in log.splitlines()]
    assert any("Uvicorn running" in line["message"] for line in lines)


def _logged(file):
    """The ids of the requests whose lines are complete."""
    lines = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    records = [json.loads(line) for line in lines]
    return {record["request_id"] for record in records if record["logger"] == "service.access"}


def _answers(url):
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def test_a_worker_tells_no_password(environment, start, tmp_path):
    end = start(commands.worker("jobs"), environment)
    wait_for(lambda: "annot connect" in (tmp_path / "log").read_text())
    log = end()
    assert PASSWORD not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(line["worker"] and "annot connect" in line["message"] for line in lines)


def test_the_command_line_tells_no_password(environment):
    command = [sys.executable, "-m", "service.cli", "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "the database cannot be used" in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
