"""What every kind of data set is to those who read it: images by number, each with a name."""

import os
import stat
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from paka.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")

MAX_BYTES = 400_000_000
"""Of one image file: what `paka.data.decode.MAX_PIXELS` take as they are, in four channels."""


class ImageSource(Protocol):
    """Images in an order that is the same each time.

    It can be read in processes that were forked from the one that opened it, or got it pickled, all
    at once and in any order.
    """

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def name(self, index: int) -> str:
        """An image's name, which no other has: its path below the data set."""
        ...

    def read(self, index: int) -> bytes:
        """An image's file.

        Raises:
            DataError: it cannot be read, or has more than `MAX_BYTES`.
        """
        ...


class Joined:
    """Several sources as one, such as the shards of a data set."""

    def __init__(self, parts: Sequence[ImageSource]) -> None:
        self.parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def name(self, index: int) -> str:
        """As the part calls it."""
        part, index = self._locate(index)
        return part.name(index)

    def read(self, index: int) -> bytes:
        """As the part reads it."""
        part, index = self._locate(index)
        return part.read(index)

    def _locate(self, index: int) -> tuple[ImageSource, int]:
        number = bisect_right(self._ends, index)
        return self.parts[number], index - (self._ends[number - 1] if number else 0)


def read_file(path: Path, name: str) -> bytes:
    """Return what a file holds; an error calls it by `name`.

    Raises:
        DataError: it cannot be read, is no ordinary file, or has more than `MAX_BYTES`.
    """
    try:
        # A pipe would keep whoever opens it waiting.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{name} is not a file")
            check_size(status.st_size, name)
            # Not up to the limit: room for as much as is asked for is taken beforehand.
            return file.read(status.st_size)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from error


def check_size(size: int, name: str) -> None:
    """Raise DataError if an image's file has more than `MAX_BYTES`."""
    if size > MAX_BYTES:
        raise DataError(f"{name} has {size:,} bytes; at most {MAX_BYTES:,} are read")
