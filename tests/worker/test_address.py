"""Where a worker is reached, and by whom."""

import socket

import pytest

from service.store.settings import Settings
from service.store.workers import schedulable
from worker.address import new_rendezvous, node_address


@pytest.mark.parametrize(
    "urls",
    [
        {},
        {"redis_url": "redis://127.0.0.1:6379/0"},
        {"redis_url": "redis://localhost", "database_url": "postgresql:///paka?host=/run/pg"},
    ],
)
def test_a_service_on_one_host_is_reached_by_loopback(urls):
    assert node_address(Settings(**urls)) == "127.0.0.1"


def test_what_is_set_is_announced():
    assert node_address(Settings(node_address="10.0.0.5")) == "10.0.0.5"


@pytest.mark.parametrize("name", ["redis_url", "database_url"])
def test_the_address_is_that_on_the_way_to_what_is_elsewhere(name, monkeypatch):
    ways = {"10.7.0.1": "10.7.0.9"}
    monkeypatch.setattr("worker.address.local_address", lambda host, _: ways[host])
    scheme = "redis" if name == "redis_url" else "postgresql"
    assert node_address(Settings(**{name: f"{scheme}://10.7.0.1/0"})) == "10.7.0.9"


def test_a_way_that_is_not_known_is_logged(caplog):
    settings = Settings(redis_url="redis://no-such-host.invalid")
    assert node_address(settings) == "127.0.0.1"
    assert "no way to no-such-host.invalid" in caplog.text


def test_a_name_that_is_unknown_for_a_moment_is_asked_again(monkeypatch):
    settings = Settings(redis_url="redis://slow-to-start.invalid")
    assert node_address(settings) == "127.0.0.1"
    monkeypatch.setattr("worker.address.local_address", lambda *_: "10.7.0.9")
    assert node_address(settings) == "10.7.0.9"


def test_workers_reach_those_that_have_addresses_and_on_loopback_those_of_their_host():
    networks = [
        schedulable(name, (), address).network
        for name, address in (
            ("a:1", "10.0.0.1"),
            ("b:1", "fd00::2"),
            ("c:1", "127.0.0.1"),
            ("c:2", "127.0.0.1"),
            ("d:1", None),
        )
    ]
    assert networks == ["", "", "c", "c", "d:1"]


def test_a_rendezvous_is_a_free_port():
    host, port = new_rendezvous("127.0.0.1").split(":")
    with socket.create_server((host, int(port))):
        pass
    assert new_rendezvous("::1").startswith("[::1]:")
