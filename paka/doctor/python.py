"""Python itself, and how it reads and writes text."""

import locale
import platform
import sys
from collections.abc import Iterator

from paka.doctor.finding import Finding, Request, Topic, ok, problem, warning

OLDEST = (3, 11)


def check(_request: Request) -> Iterator[Finding]:
    """Version, and encoding of file names and texts."""
    yield version(sys.version_info[:2])
    yield encoding(sys.getfilesystemencoding(), locale.getpreferredencoding(False))


def version(found: tuple[int, int]) -> Finding:
    """Whether Python is new enough."""
    shown = f"{platform.python_version()} in {sys.prefix}"
    if found < OLDEST:
        needed = ".".join(map(str, OLDEST))
        return problem("Python", f"{shown}; {needed} is needed", "make setup PYTHON=python3.12")
    return ok("Python", shown)


def encoding(names: str, texts: str) -> Finding:
    """Whether files with names and contents in any language can be read."""
    if {name.lower().replace("-", "") for name in (names, texts)} == {"utf8"}:
        return ok("encoding", "UTF-8")
    found = f"file names are read as {names}, texts as {texts}: names like Möwe.jpg will fail"
    return warning("encoding", found, "export LC_ALL=C.UTF-8 (or PYTHONUTF8=1)")


TOPIC = Topic("Python", check)
