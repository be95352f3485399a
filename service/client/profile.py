"""Which service, and with which key: as it was given, from the environment, or from a login."""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

import httpx

from paka.errors import ConfigError
from paka.files import replacing

DEFAULT_URL = "http://127.0.0.1:8000"
_MOST_PORT = 65535


class Profile(NamedTuple):
    """A service and the key for it; None where it asks for none."""

    url: str
    key: str | None


def choose(url: str | None = None, key: str | None = None) -> Profile:
    """What was given, else PAKA_URL and PAKA_KEY, else what `login` has kept, else this machine.

    A kept key goes to the service that it is for, and to no other.

    Raises:
        ConfigError: the address or the key cannot be one.
    """
    kept = read_login()
    url = checked_url(url or os.environ.get("PAKA_URL") or (kept.url if kept else DEFAULT_URL))
    key = key or os.environ.get("PAKA_KEY")
    if key is None and kept and kept.url == url:
        key = kept.key
    return Profile(url, checked_key(key))


def checked_url(url: str) -> str:
    """The address without space around it and slashes after it.

    Raises:
        ConfigError: nothing can be reached at it.
    """
    url = url.strip()
    if not _is_address(url):
        raise ConfigError(
            f"{url!r} is no address of a service; it takes http:// or https://, a name, and after "
            f"a colon the port if it is not the usual one: https://paka.lab.example, {DEFAULT_URL}"
        )
    return url.rstrip("/")


def checked_key(key: str | None) -> str | None:
    """The key without the space and line ends that come along from files; None if none is left.

    Raises:
        ConfigError: it cannot be sent. The message does not show it: it may be all but right.
    """
    key = (key or "").strip()
    if not re.fullmatch("[!-~]*", key):
        raise ConfigError(
            "the key has characters that no key has; give it as it was shown, paka_ and 64 digits "
            "and letters"
        )
    return key or None


def _is_address(url: str) -> bool:
    try:
        place = httpx.URL(url)
        place.raw_host.decode().encode("idna")  # as a socket will, with a UnicodeError for `a..b`
    except (httpx.InvalidURL, UnicodeError):
        return False
    port_exists = place.port is None or 0 < place.port <= _MOST_PORT
    return place.scheme in ("http", "https") and bool(place.host) and port_exists


def login_file() -> Path:
    """Where `login` keeps service and key."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "paka" / "login.json"


def read_login() -> Profile | None:
    """What `login` has kept."""
    try:
        kept = json.loads(login_file().read_text())
        return Profile(kept["url"], kept["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def login(profile: Profile) -> Path:
    """Keep service and key, readable to nobody else."""
    file = login_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as aside:
        aside.touch(mode=0o600)
        aside.write_text(json.dumps(profile._asdict()) + "\n")
    return file


def logout() -> bool:
    """Forget them; whether there were any."""
    there = login_file().exists()
    login_file().unlink(missing_ok=True)
    return there
