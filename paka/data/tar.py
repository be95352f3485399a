"""The images of an uncompressed .tar, such as a shard of WebDataset: read where they lie."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paka.data.members import ArchiveFile, image_name, readable
from paka.data.names import Names
from paka.data.source import check_size
from paka.errors import DataError

_MAX_HEADER_BYTES = 2**17


class Entry(NamedTuple):
    """One member: where its content lies, in bytes; `image` is its name, None if it is none."""

    image: str | None
    offset: int
    size: int


class TarImages:
    """The images of one tar, found by its headers once and read by their offsets.

    Links, devices and files with holes are passed over. Of members with the same name the last
    counts, as it does where a tar is unpacked.

    Args:
        label: what stands before the members' names.

    Raises:
        DataError: it is no tar, or cut short.
    """

    def __init__(self, path: Path, label: str) -> None:
        self.path, self.label = path, label
        found = {each.image: each[1:] for each in scan(path) if each.image is not None}
        self._names = Names(found)
        self._places = np.array(list(found.values()), np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """The label, and the member's path."""
        return f"{self.label}/{self._names[index]}"

    def read(self, index: int) -> bytes:
        """The member."""
        (offset, size), name = self._places[index].tolist(), self.name(index)
        check_size(size, name)
        try:
            # Opened each time: there may be more shards than a process may have files open.
            with self.path.open("rb", buffering=0) as file:
                content = os.pread(file.fileno(), size, offset)
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}") from error
        if len(content) < size:
            raise DataError(f"{name} is cut short, {self.path} has changed since the run began")
        return content


def scan(path: Path) -> Iterator[Entry]:
    """Yield a tar's members, reading nothing but their headers.

    Raises:
        DataError: it is no tar, or cut short.
    """
    with readable(path):
        file = ArchiveFile(path, _MAX_HEADER_BYTES)
        try:
            yield from _scan(file)
        finally:
            file.close()


def _scan(file: ArchiveFile) -> Iterator[Entry]:
    # tarfile's own way to open takes a file that only reads, tells and seeks, unlike its types.
    with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as tar:  # type: ignore[call-overload]
        while (entry := tar.next()) is not None:
            tar.members.clear()  # it would keep them all
            if entry.size < 0:  # which would send tarfile back, and around in circles
                raise DataError("a size in it is negative")
            is_file = entry.isreg() and not entry.issparse()
            image = image_name(entry.name) if is_file else None
            yield Entry(image, entry.offset_data, entry.size)
    if file.last != bytes(tarfile.BLOCKSIZE):  # anything else looks like the end to tarfile, too
        raise DataError("it is cut short or damaged")
