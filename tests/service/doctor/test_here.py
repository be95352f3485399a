"""The checks of a service on this machine, each before the fault that it is for."""

import json
import os
import re
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from paka.doctor.finding import Level, Request
from service.doctor import clock, database, here, home, redis, running
from service.doctor import settings as variables
from service.store.contract import CONTRACT_VERSION, worker_key
from service.store.migrate import downgrade
from service.store.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def levels(findings):
    return {finding.check: finding.level for finding in findings}


# settings


def test_a_slip_in_a_variables_name_is_found_with_the_right_name():
    (found,) = variables.unknown({"PAKA_PROT": "8000", "PAKA_PORT": "8000", "HOME": "/root"})
    assert (found.level, found.remedy) == (Level.WARNING, "did you mean PAKA_PORT?")
    assert "PAKA_PROT" in found.found


def test_a_variable_like_no_other_is_found_too():
    (found,) = variables.unknown({"PAKA_XYZZY": "1"})
    assert found.remedy == "unset it; see docs/deploy.md"


def test_every_variable_that_the_code_reads_is_known():
    files = [p for part in ("paka", "service", "worker") for p in (ROOT / part).rglob("*.py")]
    text = "".join(file.read_text() for file in files)
    scripts = "".join(p.read_text() for p in (*ROOT.glob("docker/*.sh"), ROOT / ".env.example"))
    names = re.findall(r'"(PAKA_[A-Z_]*[A-Z])"', text) + re.findall(r"PAKA_[A-Z_]*[A-Z]", scripts)
    assert list(variables.unknown(dict.fromkeys(names, ""))) == []
    assert not {f"PAKA_{name.upper()}" for name in Settings.model_fields} & variables.OTHERS


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PAKA_PORT", "many", "PAKA_PORT: Input should be a valid integer"),
        ("PAKA_LEASE_SECONDS", "0", "greater than or equal to 1"),
        ("PAKA_DATA_ROOTS", "/data", "data_roots"),
    ],
)
def test_a_setting_that_cannot_work_is_a_problem_and_ends_the_search(
    monkeypatch, name, value, words
):
    monkeypatch.setenv(name, value)
    (found,) = here.check(Request())
    assert found.level is Level.PROBLEM
    assert words in found.found
    assert found.remedy


def test_a_machine_without_a_service_has_no_problem(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = list(here.check(Request()))
    assert [finding.level for finding in found] == [Level.OK, Level.NOT_APPLICABLE]
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_said_of_this_machine_if_another_is_asked_about():
    assert list(here.check(Request(url="https://elsewhere"))) == []


# home


@pytest.fixture
def read_only(mount_tmpfs, tmp_path):
    """A folder in which root cannot write either."""
    return mount_tmpfs(tmp_path / "read-only", "ro,size=1m")


def test_a_home_that_works_is_left_as_it_was(tmp_path):
    assert home.writable("home", tmp_path).level is Level.OK
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_not_there_yet_is_no_problem(tmp_path):
    assert home.writable("home", tmp_path / "a" / "b").level is Level.NOT_APPLICABLE


def test_a_home_that_cannot_be_written_to_is_a_problem(read_only):
    found = home.writable("home", read_only)
    assert found.level is Level.PROBLEM
    assert "Read-only file system" in found.found
    assert home.writable("home", read_only / "new").level is Level.PROBLEM


def test_a_home_below_a_file_is_a_problem(tmp_path):
    (tmp_path / "file").touch()
    found = home.writable("home", tmp_path / "file" / "home")
    assert found.level is Level.PROBLEM
    assert "is a file" in found.found


@pytest.mark.parametrize(
    ("part", "level"), [(2, Level.PROBLEM), (0.5, Level.WARNING), (0.01, Level.OK)]
)
def test_room_is_measured_by_what_must_stay_free(tmp_path, part, level):
    free = shutil.disk_usage(tmp_path).free
    settings = Settings(home=tmp_path, min_free_bytes=int(part * free))
    assert home.room(settings).level is level


def test_a_data_root_that_is_not_there_is_a_problem_if_it_was_asked_for(tmp_path):
    missing = tmp_path / "none"
    assert home.readable(missing, given=False).level is Level.NOT_APPLICABLE
    found = home.readable(missing, given=True)
    assert found.level is Level.PROBLEM
    assert "No such file" in found.found
    assert home.readable(tmp_path, given=True).level is Level.OK


def test_a_secret_that_others_can_read_is_a_problem(tmp_path):
    settings, file = Settings(home=tmp_path), tmp_path / "secret.key"
    assert home.secret(settings).level is Level.NOT_APPLICABLE
    file.write_text(64 * "a" + "\n")
    file.chmod(0o640)
    found = home.secret(settings)
    assert (found.level, found.remedy) == (Level.PROBLEM, f"chmod 600 {file}")
    file.chmod(0o600)
    assert home.secret(settings).level is Level.OK
    file.write_text("")
    assert "too short" in home.secret(settings).found
    assert "aaaa" not in str(home.secret(Settings(home=tmp_path, secret_key=64 * "a")))


@sqlite_only
def test_a_bucket_is_tried_out(host, away):
    settings = host("here")
    settings.artifacts_folder.mkdir()
    found = {finding.check: finding for finding in home.check(settings)}
    assert found["bucket"].level is Level.OK
    assert settings.artifacts_url in found["bucket"].found
    away()
    found = {finding.check: finding for finding in home.check(settings)}
    assert found["bucket"].level is Level.PROBLEM
    assert "Could not connect" in found["bucket"].found
    assert "AWS_ENDPOINT_URL" in found["bucket"].remedy


# database


@sqlite_only
def test_a_database_of_an_older_version_is_a_problem(settings):
    assert levels(database.check(settings)) == {"database": Level.OK}
    downgrade(settings.database, "-1")
    (found,) = database.check(settings)
    assert (found.level, found.remedy) == (Level.PROBLEM, "paka-server migrate")


def test_no_database_yet_is_no_problem_and_none_is_made(tmp_path):
    assert levels(database.check(Settings(home=tmp_path))) == {"database": Level.NOT_APPLICABLE}
    assert list(tmp_path.iterdir()) == []


@postgresql_only
def test_the_clock_of_postgresql_is_compared(settings):
    assert levels(database.check(settings)) == {
        "database": Level.OK,
        "clock of database": Level.OK,
    }


def test_a_database_that_is_away_is_a_problem_that_shows_no_password():
    url = "postgresql://paka:topsecret@127.0.0.1:1/paka"
    (found,) = database.check(Settings(database_url=url))
    assert found.level is Level.PROBLEM
    assert "Connection refused" in found.found
    assert "topsecret" not in str(found)


@sqlite_only
def test_sqlite_on_a_network_file_system_is_a_warning(settings, tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/export {tmp_path} nfs4 rw 0 0\n")
    first, *_ = database.check(settings, mounts)
    assert first.level is Level.WARNING
    assert "on nfs4" in first.found
    mounts.write_text("server:/export / nfs4 rw 0 0\n" + f"/dev/sda1 {tmp_path} ext4 rw 0 0\n")
    assert levels(database.check(settings, mounts)) == {"database": Level.OK}


@pytest.mark.parametrize(("skew", "words"), [(90.0, "90 s ahead of"), (-7.2, "7 s behind")])
def test_clocks_that_differ_are_a_warning(skew, words):
    found = clock.judge("Redis", skew)
    assert (found.check, found.level) == ("clock of Redis", Level.WARNING)
    assert words in found.found
    assert clock.judge("Redis", 0.3).level is Level.OK


# Redis


@pytest.fixture
def configured(redis_url):
    """Sets a Redis option for one test."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        before = {}

        def set_option(name, value):
            before.setdefault(name, client.config_get(name)[name])
            client.config_set(name, value)

        yield set_option
        for name, value in before.items():
            client.config_set(name, value)


def test_a_redis_that_evicts_is_a_problem(redis_url, configured):
    settings = Settings(redis_url=redis_url)
    assert set(levels(redis.check(settings)).values()) == {Level.OK}
    configured("maxmemory-policy", "allkeys-lru")
    found = {finding.check: finding for finding in redis.check(settings)}["Redis memory"]
    assert found.level is Level.PROBLEM
    assert found.remedy == "redis-cli config set maxmemory-policy noeviction"


def test_a_redis_with_little_memory_is_a_warning(redis_url, configured):
    configured("maxmemory", str(100 * 2**20))
    assert levels(redis.check(Settings(redis_url=redis_url)))["Redis memory"] is Level.WARNING


def test_a_redis_that_is_away_is_a_problem_that_shows_no_password():
    (found,) = redis.check(Settings(redis_url="redis://:topsecret@127.0.0.1:1/0"))
    assert found.level is Level.PROBLEM
    assert "topsecret" not in str(found)


# API and workers


def announce(client, kind, **values):
    about = {"name": kind, "kind": kind, "host": "here", "pid": 1, "version": running.VERSION}
    about |= {"device": "cpu", "started_at": "2026-11-23T10:00:00Z", "contract": CONTRACT_VERSION}
    client.set(worker_key(kind, kind), json.dumps(about | values))


@pytest.fixture
def answering():
    """Starts a server that answers everything with the given text."""
    servers = []

    def start(text):
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=servers[-1].serve_forever).start()
        return servers[-1].server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_service_that_does_not_run_is_no_problem(tmp_path):
    settings = Settings(home=tmp_path, port=free_port())
    found = running.check(settings, redis.check(settings))
    assert levels(found) == {"port": Level.OK, "service": Level.NOT_APPLICABLE}


def test_a_redis_that_was_named_and_is_away_is_a_problem(tmp_path):
    settings = Settings(home=tmp_path, port=free_port(), redis_url="redis://127.0.0.1:1/0")
    found = levels(running.check(settings, redis.check(settings)))
    assert found == {"Redis": Level.PROBLEM, "port": Level.OK}


def test_a_port_that_is_taken_is_a_problem(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(0.1)
        settings = Settings(home=tmp_path, port=taken.getsockname()[1])
        closing = threading.Thread(target=lambda: taken.accept()[0].close())
        closing.start()
        found = levels(running.check(settings, redis.check(settings)))
        closing.join()
    assert found["port"] is Level.PROBLEM


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("a page", Level.PROBLEM),
        ('{"status": "fine"}', Level.PROBLEM),
        ('{"status": "alive", "version": "0.0.1"}', Level.WARNING),
        (f'{{"status": "alive", "version": "{running.VERSION}"}}', Level.OK),
    ],
)
def test_what_answers_on_the_port_is_looked_at(tmp_path, answering, text, level):
    settings = Settings(home=tmp_path, port=answering(text))
    assert levels(running.check(settings, []))["API"] is level


def test_what_speaks_no_http_on_the_port_is_something_else(tmp_path):
    def greet():
        connection, _ = taken.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        greeting = threading.Thread(target=greet)
        greeting.start()
        settings = Settings(home=tmp_path, port=taken.getsockname()[1])
        found, *_ = running.check(settings, [])
        greeting.join()
    assert (found.check, found.level) == ("API", Level.PROBLEM)
    assert "something else answers" in found.found


@sqlite_only
def test_workers_are_alive_and_of_this_version(settings, redis):
    assert levels(running.workers(settings, running=False)) == {
        "worker: jobs": Level.NOT_APPLICABLE,
        "worker: embed": Level.NOT_APPLICABLE,
    }
    announce(redis, "jobs", version="0.0.1")
    found = {finding.check: finding for finding in running.workers(settings, running=True)}
    assert found["worker: jobs"].level is Level.WARNING
    assert found["worker: embed"].level is Level.PROBLEM
    assert found["worker: embed"].remedy == "paka-server worker --queue embed"
    announce(redis, "jobs")
    announce(redis, "embed", contract=CONTRACT_VERSION + 1)
    assert levels(running.workers(settings, running=True)) == {
        "worker: jobs": Level.OK,
        "worker: embed": Level.PROBLEM,
    }


@sqlite_only
def test_a_whole_service_is_found_well(settings, redis, serving, monkeypatch):
    from service.app import create_app

    for kind in ("jobs", "embed"):
        announce(redis, kind)
    with serving(create_app(settings)) as client:
        environment = {
            "PAKA_HOME": str(settings.home),
            "PAKA_DATABASE_URL": settings.database_url,
            "PAKA_REDIS_URL": settings.redis_url,
            "PAKA_DATA_ROOTS": json.dumps([str(root) for root in settings.data_roots]),
            "PAKA_PORT": str(client.base_url.port),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        found = levels(here.check(Request()))
    assert set(found) == {
        *("settings", "home", "disk", "data", "secret", "database", "Redis", "Redis memory"),
        *("clock of Redis", "API", "worker: jobs", "worker: embed"),
    }
    assert {name for name, level in found.items() if level is not Level.OK} <= {"secret"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_environment_of_the_tests_is_itself_well():
    assert list(variables.unknown(os.environ)) == []
