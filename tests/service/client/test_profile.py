import stat

import pytest

from paka.errors import ConfigError
from service.client import PakaClient
from service.client.profile import DEFAULT_URL, Profile, choose, login, login_file, logout

LAB = Profile("https://paka.lab.example", "paka_lab")


def test_what_is_given_comes_before_the_environment_and_that_before_the_login(monkeypatch):
    assert choose() == (DEFAULT_URL, None)
    login(LAB)
    assert choose() == LAB
    monkeypatch.setenv("PAKA_URL", "http://other:8000/")
    monkeypatch.setenv("PAKA_KEY", "paka_other")
    assert choose() == ("http://other:8000", "paka_other")
    assert choose("http://third", "paka_third") == ("http://third", "paka_third")


def test_a_kept_key_goes_to_no_other_service(monkeypatch):
    login(LAB)
    assert choose("http://other").key is None
    monkeypatch.setenv("PAKA_URL", "http://other")
    assert choose().key is None
    assert choose("https://paka.lab.example/").key == "paka_lab"


def test_nobody_else_can_read_the_login():
    assert stat.S_IMODE(login(LAB).stat().st_mode) == 0o600
    login_file().write_text("[]")
    assert choose() == (DEFAULT_URL, None)
    assert logout() and not logout()


KEY = "paka_" + 64 * "0"


@pytest.mark.parametrize("around", ["\n", "\r", "\r\n", " ", "\t"])
def test_what_a_file_has_around_a_key_is_left_out(monkeypatch, around):
    assert choose(key=KEY + around).key == KEY
    monkeypatch.setenv("PAKA_KEY", f" {KEY}{around}")
    assert choose().key == KEY
    monkeypatch.setenv("PAKA_KEY", around)
    assert choose().key is None


@pytest.mark.parametrize("key", ["paka_…", f"{KEY}\r\n{KEY}", f"{KEY} {KEY}", f"\ufeff{KEY}"])
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(key):
    with pytest.raises(ConfigError, match="as it was shown") as refused:
        PakaClient(key=key)
    assert key not in str(refused.value) and KEY not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        *("paka.lab.example", "localhost:8000", "ftp://h", "http://", "http:///jobs"),
        *("http://h:80a0", "http://h:0", "http://h:65536", "http://[::1", "http://paka..example"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_with_what_would_be(url):
    with pytest.raises(ConfigError, match=r"http:// or https://") as refused:
        PakaClient(url)
    assert url in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://paka_lab:8000", "https://[::1]:8443", "https://münchen.example/paka"]
)
def test_other_addresses_are_left_as_they_are(url):
    assert choose(f" {url}/\n").url == url
