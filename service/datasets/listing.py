"""What the data roots hold, without walking through all of it for each request."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from paka.data.folder import SUFFIXES

MAX_ENTRIES = 10_000
"""Files and folders that are looked at to count a data set's images."""

MAX_FOLDERS = 100_000
"""Files and folders directly in a data root that are looked at."""

_KEPT_SECONDS = 60


class Count(NamedTuple):
    """How many images a folder holds; there may be more if it is not `complete`."""

    images: int
    complete: bool


def folders(roots: Sequence[Path]) -> list[Path]:
    """The folders directly in the data roots, and roots that are data sets themselves, by path.

    Hidden folders and links are left out.
    """
    found = {folder for root in roots for folder in _folders_in(root)}
    return sorted(found.union(filter(_is_data_set, roots)))


def count_images(folder: Path) -> Count:
    """Count a folder's images, as of at most a minute ago."""
    return _count(folder, int(time.monotonic() // _KEPT_SECONDS))


@lru_cache(4096)
def _count(folder: Path, _minute: int) -> Count:
    images = 0
    for number, name in enumerate(_files(folder)):
        if number == MAX_ENTRIES:
            return Count(images, complete=False)
        images += name.lower().endswith(SUFFIXES)
    return Count(images, complete=True)


def _files(folder: Path) -> Iterator[str]:
    """The names of all files and folders below a folder, as `paka.data.folder` finds them.

    Unlike `os.walk` it never reads more of a large folder than it is asked for.
    """
    waiting = [str(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:  # else it is not counted
            for entry in entries:
                if not entry.name.startswith("."):
                    yield entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)


def _is_data_set(root: Path) -> bool:
    """Whether images lie in the root itself, or the names of classes of a labelled data set."""
    try:
        with os.scandir(root) as entries:
            names = (entry.name.lower() for entry in islice(entries, MAX_FOLDERS))
            return any(name == "classes.txt" or name.endswith(SUFFIXES) for name in names)
    except OSError:
        return False


def _folders_in(root: Path) -> Iterator[Path]:
    try:
        with os.scandir(root) as entries:
            yield from (
                Path(entry.path)
                for entry in islice(entries, MAX_FOLDERS)
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except OSError:  # a root that is not there, such as one that is mounted later
        return
