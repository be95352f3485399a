"""The folder of uploads: what comes in stays aside until it is complete.

A data set is a folder there; hidden folders are at work, each locked by who works on it.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.store.ids import new_id

_PREFIX = ".incoming-"


@contextmanager
def aside(uploads: Path) -> Iterator[Path]:
    """Yield a new hidden folder; what is still in it at the end goes."""
    folder = uploads / new_id(_PREFIX)
    folder.mkdir(parents=True)
    try:
        with locked(folder):
            yield folder
    finally:
        # A child that is just being ended may still write; `sweep` would remove what it leaves.
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[None]:
    """Hold a folder's lock, against other processes too.

    Raises:
        BlockingIOError: somebody else has it, and `wait` is False.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def sweep(uploads: Path) -> None:
    """Remove what processes that were killed have left aside."""
    for folder in uploads.glob(f"{_PREFIX}*"):
        try:
            with locked(folder, wait=False):
                shutil.rmtree(folder)
        except BlockingIOError:
            continue  # its process lives
