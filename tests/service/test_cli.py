import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from service.store.contract import worker_key
from service.store.migrate import is_current, upgrade
from service.store.settings import Settings

COMMANDS = ["up", "api", "worker", "migrate", "check", "backup", "restore", "gc", "user", "audit"]


def paka_server(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *map(str, arguments)],
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_names_every_command():
    result = paka_server("--help")
    assert result.returncode == 0
    for command in COMMANDS:
        assert f"  {command} " in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_complete_sentences(command):
    lines = paka_server(command, "--help").stdout.splitlines()
    assert lines[2].endswith(".")


def test_help_needs_none_of_the_heavy_packages():
    heavy = "{'torch', 'numpy', 'fastapi', 'celery', 'redis', 'sqlalchemy', 'pydantic'}"
    code = f"import sys, service.cli; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("set()\n", "")


def test_migrate_makes_the_home_and_its_database(tmp_path):
    for _ in range(2):
        result = paka_server("migrate", "--home", tmp_path / "new" / "home")
        assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("the database is at revision ")
    assert is_current(f"sqlite:///{tmp_path}/new/home/paka.db")


def test_migrate_says_why_a_database_cannot_be_used():
    result = paka_server("migrate", PAKA_DATABASE_URL="postgresql://paka@127.0.0.1:1/paka")
    assert result.returncode == 1
    assert result.stderr.startswith("error: the database cannot be used: ")
    assert "Connection refused" in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PAKA_PORT", "many", "port: Input should be a valid integer"),
        ("PAKA_LEASE_SECONDS", "0", "lease_seconds: Input should be greater than or equal to 1"),
        ("PAKA_DATA_ROOTS", "/data", "data_roots"),
        ("PAKA_AUTH", "maybe", "auth: Input should be 'auto', 'on' or 'off'"),
        ("PAKA_SECRET_KEY", "short", "secret_key: Value should have at least 32 items"),
    ],
)
def test_a_setting_that_cannot_work_is_named_in_one_line(name, value, message):
    result = paka_server("up", **{name: value})
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["up", "api"])
def test_a_port_in_use_is_an_error_before_anything_starts(command, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = paka_server(command, "--port", port, "--home", tmp_path / "home")
    assert result.returncode == 1
    assert result.stderr == (
        f"error: port {port} of 127.0.0.1 is in use: choose another with --port\n"
    )
    assert not (tmp_path / "home").exists()


def test_check_of_a_worker_follows_its_announcement(redis, redis_url):
    assert paka_server("check", "jobs", PAKA_REDIS_URL=redis_url).returncode == 1
    worker = {"host": socket.gethostname(), "pid": os.getpid()}
    redis.set(worker_key("jobs", "name"), json.dumps(worker))
    result = paka_server("check", "jobs", PAKA_REDIS_URL=redis_url)
    assert (result.returncode, result.stdout) == (0, "jobs: alive\n")
    result = paka_server("check", "embed", PAKA_REDIS_URL=redis_url)
    assert (result.returncode, result.stdout) == (1, "embed: not alive\n")


def test_check_of_the_api_asks_at_the_address_that_it_was_started_with():
    with socket.create_server(("127.0.0.1", 0)) as server:
        at = ("--host", "127.0.0.1", "--port", server.getsockname()[1])
        answer = Thread(target=_answer_once, args=(server,))
        answer.start()
        result = paka_server("check", "api", *at)
        answer.join()
    assert (result.returncode, result.stdout) == (0, "api: alive\n")


def _answer_once(server):
    with server.accept()[0] as client:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_the_documentation_lists_every_setting():
    text = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text()
    listed = {
        name.lower() for name in re.findall(r"`PAKA_(\w+)`", text.partition("## Settings")[2])
    }
    assert listed == set(Settings.model_fields)


def test_backup_and_restore_say_what_they_did(tmp_path):
    old, new, archive = tmp_path / "old", tmp_path / "new", tmp_path / "paka.tar"
    upgrade(f"sqlite:///{old}/paka.db")
    (old / "secret.key").write_text("hush")
    result = paka_server("backup", archive, "--home", old)
    assert result.stdout == f"{archive}: 0 jobs, 1 files, 4 bytes\n"
    assert "holds the server's secret" in result.stderr
    assert "is sound: version " in paka_server("restore", archive, "--verify").stdout
    result = paka_server("restore", archive, "--home", new)
    assert (result.returncode, result.stdout) == (0, "restored 0 jobs and 1 files\n")
    again = paka_server("restore", archive, "--home", new)
    assert again.returncode == 1
    assert again.stderr.startswith(f"error: there is something here already: {new}/secret.key")
    assert again.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["gc", "audit"])
def test_a_home_that_is_not_there_is_an_error_in_one_line(command, tmp_path):
    result = paka_server(command, "--home", tmp_path / "none")
    assert result.returncode == 1
    assert result.stderr == "error: the database cannot be used: unable to open database file\n"
