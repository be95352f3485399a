import pytest

from paka.process import WAIT_ASLEEP
from service import commands
from service.store.settings import Settings


def test_a_clients_word_about_its_address_is_not_taken():
    assert "--no-proxy-headers" in commands.api(Settings())


@pytest.mark.parametrize("proxies", ["10.0.0.1", "10.0.0.1,::1", "10.0.0.0/8"])
def test_a_trusted_proxys_word_is(proxies):
    command = commands.api(Settings(trusted_proxies=proxies))
    assert command[command.index("--forwarded-allow-ips") + 1] == proxies
    assert "--no-proxy-headers" not in command


def test_cores_wait_for_one_another_asleep_unless_somebody_wants_otherwise(monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    assert commands.environment(Settings()).items() >= WAIT_ASLEEP.items()
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert commands.environment(Settings())["GOMP_SPINCOUNT"] == "7"
