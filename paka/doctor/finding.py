"""What a check finds."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How much a finding matters: a problem keeps something from working, a warning may."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_APPLICABLE = "not applicable"


class Finding(NamedTuple):
    """What was looked at, what was found, and the command or setting that would mend it."""

    check: str
    level: Level
    found: str
    remedy: str = ""


class Request(NamedTuple):
    """What the user wants looked at: also the network, or another machine's server at `url`, to
    which `key` opens the door.
    """

    online: bool = False
    url: str | None = None
    key: str | None = None


class Topic(NamedTuple):
    """Checks that belong together; `check` yields what it finds, and nothing where it is no use."""

    title: str
    check: Callable[[Request], Iterable[Finding]]


def ok(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, found)


def warning(check: str, found: str, remedy: str) -> Finding:
    """It works, but may not always or not well."""
    return Finding(check, Level.WARNING, found, remedy)


def problem(check: str, found: str, remedy: str) -> Finding:
    """Something does not work."""
    return Finding(check, Level.PROBLEM, found, remedy)


def not_applicable(check: str, found: str, remedy: str = "") -> Finding:
    """There is nothing to look at; `found` says why."""
    return Finding(check, Level.NOT_APPLICABLE, found, remedy)


def size(count: float) -> str:
    """Bytes for people: `1.5 GB`, in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
