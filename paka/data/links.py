"""Symbolic links in a data set: a server lets none lead to what its users may not read.

On one's own machine links may lead anywhere. A server sets `ENVIRONMENT` for the processes of its
jobs, and there a data set may hold links into the data roots only.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from paka.errors import DataError

ENVIRONMENT = "PAKA_JOB_ROOTS"


class Reach(NamedTuple):
    """Where links may lead: into `roots`, but not into `private`; all absolute and resolved."""

    roots: tuple[Path, ...]
    private: tuple[Path, ...] = ()

    def includes(self, path: Path) -> bool:
        """Whether a resolved path lies there."""
        return _lies_in(path, self.roots) and not _lies_in(path, self.private)

    def to_environment(self) -> dict[str, str]:
        """What `from_environment` reads in another process."""
        return {ENVIRONMENT: json.dumps([[str(path) for path in paths] for paths in self])}

    @classmethod
    def from_environment(cls) -> Self | None:
        """The reach of a server's job; None for whoever may read what they can."""
        text = os.environ.get(ENVIRONMENT)
        return cls(*(tuple(map(Path, paths)) for paths in json.loads(text))) if text else None


def check_links(folder: Path, reach: Reach | None) -> None:
    """Follow all links in a folder and its sub-folders; they may also lead to the folder itself.

    Args:
        folder: or a file, such as an archive, that may be a link itself.

    Raises:
        DataError: one leads out of reach, or in a circle.
    """
    if reach is None:
        return
    if not folder.is_dir():
        if folder.is_symlink() and not reach.includes(_target(folder)):
            raise _leads_out(folder)
        return
    own, waiting, seen = folder.resolve(), [folder.resolve()], set[Path]()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for entry in _entries(current):
            path = Path(entry.path)
            if entry.is_symlink():
                path = _target(path)
                if not (_lies_in(path, (own,)) or reach.includes(path)):
                    raise _leads_out(entry.path)
            if path.is_dir() if entry.is_symlink() else entry.is_dir():
                waiting.append(path)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except PermissionError:
        return  # whoever reads the data set says so, if it is needed at all


def _leads_out(link: Path | str) -> DataError:
    return DataError(f"{link} is a link out of the data roots; put a copy in its place")


def _target(link: Path) -> Path:
    try:
        return link.resolve()
    except (OSError, RuntimeError) as error:  # in a circle
        raise DataError(f"{link} is a link that leads nowhere; remove it") from error


def _lies_in(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
