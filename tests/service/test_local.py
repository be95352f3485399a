"""`paka-server up` as a user runs it: real API, real workers, real Redis."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis

from service import local
from service.preflight import lock_home


@contextmanager
def up(home, *options):
    """Run `paka-server up` on a free port; yield the process and its log's lines."""
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "up", "--home", home, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def read_until(process, pattern):
    """Read the log up to a line that matches; return the match."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if match := re.search(pattern, line):
            return match
    pytest.fail(f"no line with {pattern!r} in:\n{''.join(lines)}")


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def assert_all_end(processes):
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive


def check(part, home, url):
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "service.cli", "check", part, "--home", home]
    return subprocess.run(command, env={**os.environ, "PAKA_PORT": port}).returncode


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="paka-", dir="/tmp") as folder:
        yield Path(folder)


def test_up_runs_everything_for_one_home_until_ctrl_c(home, tmp_path):
    with up(home, "--data", tmp_path) as process:
        url = read_until(process, r"up +\| ready +(http://127\.0\.0\.1:\d+) ")[1]
        read_until(process, rf"up +\| data +{tmp_path}\n")
        for part in ("api", "jobs", "embed"):
            assert check(part, home, url) == 0
        with Redis.from_url(f"unix://{home}/redis.sock") as redis:
            assert redis.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
            assert redis.config_get("appendonly")["appendonly"] == "no"
        with up(home, "--port", url.rpartition(":")[2]) as second:
            output, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert f"{home} is in use by another `paka-server up` (process {process.pid})" in output
        children = descendants(process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "is still running: killed" not in output
    assert "leaked" not in output
    assert_all_end(children)
    with lock_home(home):
        assert list((home / "redis").iterdir()) == []


def test_a_part_that_dies_brings_the_whole_down_and_is_named(tmp_path):
    home = tmp_path / ("long" * 25)  # too long for the path of a Unix socket
    with up(home) as process:
        read_until(process, r"up +\| ready ")
        children = descendants(process)
        victim = next(child for child in children if "paka.embed" in child.cmdline())
        victim.kill()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.endswith("error: embed ended unexpectedly, killed by SIGKILL\n")
    assert_all_end(children)
    assert {path.name for path in home.iterdir()} >= {"artifacts", "data", "paka.db", "redis"}


def test_all_end_when_up_itself_is_killed_and_the_home_is_free_again(home):
    with up(home) as process:
        read_until(process, r"up +\| ready ")
        children = descendants(process)
        assert len(children) >= 4
        process.kill()
        assert_all_end(children)
    with lock_home(home):
        pass


def test_the_private_socket_is_in_the_home_if_its_path_is_short_enough(home):
    with local.private_socket(home) as socket:
        assert socket == home / "redis.sock"


def test_the_private_socket_of_a_long_path_is_in_a_short_folder_that_goes_away(tmp_path):
    with local.private_socket(tmp_path / ("long" * 30)) as socket:
        assert len(str(socket)) <= local.MAX_SOCKET_PATH
        assert socket.parent.stat().st_mode & 0o077 == 0
    assert not socket.parent.exists()


def test_redis_that_does_not_answer_is_an_error_that_names_it(home, monkeypatch):
    monkeypatch.setattr(local, "REDIS_START_SECONDS", 0.5)
    settings = local.Settings(home=home, redis_url=f"unix://{home}/none.sock", port=0)
    started = time.monotonic()
    with pytest.raises(local.StartError, match="Redis did not answer"):
        local.up(settings)
    assert time.monotonic() - started < 30
