"""What the data roots hold, without walking through all of it for each request."""

import os
import stat
import time
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

from paka.data import count
from paka.data.count import Count
from paka.data.folder import SUFFIXES
from paka.data.images import ARCHIVES
from paka.errors import PakaError

MAX_ENTRIES = 10_000
"""Files and folders that are looked at to count a data set's images."""

MAX_FOLDERS = 100_000
"""Files and folders directly in a data root that are looked at."""

_KEPT_SECONDS = 60
_MARKS = ("classes.txt", "dataset_dict.json", "dataset_info.json")
"""Names of classes of a labelled data set, and what is in a folder that `datasets` has saved."""


def candidates(roots: Sequence[Path]) -> list[Path]:
    """What may be a data set, by path: folders and archives directly in the data roots, and roots
    that are data sets themselves.

    Hidden ones and links are left out.
    """
    found = {place for root in roots for place in _candidates_in(root)}
    return sorted(found.union(filter(_is_data_set, roots)))


def count_images(dataset: Path) -> Count:
    """Count a data set's images, those of a folder as of at most a minute ago.

    None are told of one that cannot be read; a job that names it is told why.
    """
    try:
        status = dataset.stat()
    except OSError:
        return Count(0)
    minute = int(time.monotonic() // _KEPT_SECONDS)
    of_file = (status.st_mtime_ns, status.st_size)
    return _count(dataset, of_file if stat.S_ISREG(status.st_mode) else minute)


@lru_cache(4096)
def _count(dataset: Path, _version: Hashable) -> Count:
    try:
        return count.count_images(dataset, MAX_ENTRIES)
    except (PakaError, OSError):
        return Count(0)


def _is_data_set(root: Path) -> bool:
    """Whether images lie in the root itself, or what marks a data set of another kind."""
    try:
        with os.scandir(root) as entries:
            names = (entry.name.lower() for entry in islice(entries, MAX_FOLDERS))
            return any(name in _MARKS or name.endswith(SUFFIXES) for name in names)
    except OSError:
        return False


def _candidates_in(root: Path) -> Iterator[Path]:
    try:
        with os.scandir(root) as entries:
            yield from (
                Path(entry.path)
                for entry in islice(entries, MAX_FOLDERS)
                if not entry.name.startswith(".")
                and (
                    entry.is_dir(follow_symlinks=False)
                    or (
                        entry.name.lower().endswith(ARCHIVES)
                        and entry.is_file(follow_symlinks=False)
                    )
                )
            )
    except OSError:  # a root that is not there, such as one that is mounted later
        return
