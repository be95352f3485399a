"""A folder as a tar archive that arises while it is read: nothing is written to the disk."""

import os
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from paka.errors import DataError

_BLOCK = 2**16


class Packed:
    """A folder's files as a tar archive, to be read once from the front.

    Args:
        done: is told how many bytes of files have been read so far.
    """

    def __init__(self, folder: Path, done: Callable[[int], object]) -> None:
        self._chunks = _pack(folder, files_in(folder), done)
        self._left = b""

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most; none at the end.

        Raises:
            DataError: a file has changed while it was read.
        """
        while len(self._left) < size and (chunk := next(self._chunks, b"")):
            self._left += chunk
        taken, self._left = self._left[:size], self._left[size:]
        return taken


class Counted:
    """A file that says how much of it was read."""

    def __init__(self, file: IO[bytes], done: Callable[[int], object]) -> None:
        self._file, self._done = file, done

    def read(self, size: int) -> bytes:
        """The next bytes."""
        chunk = self._file.read(size)
        self._done(self._file.tell())
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def archive_of(path: Path, done: Callable[[int], object]) -> Iterator[tuple[Any, str]]:
    """What to send for a folder or an archive, and what it is called."""
    if path.is_dir():
        yield Packed(path, done), f"{path.absolute().name}.tar"
        return
    with path.open("rb") as file:
        yield Counted(file, done), path.name


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder.

    Raises:
        DataError: neither is there.
    """
    if not path.exists():
        raise DataError(f"{path} is not there; give a folder of images, a .tar, .tar.gz or .zip")
    files = files_in(path) if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def name_of(path: Path) -> str:
    """What a data set is called after its folder or archive."""
    name = path.absolute().name
    return name if path.is_dir() else re.sub(r"(\.tar)?\.(tar|t?gz|zip)$", "", name)


def files_in(folder: Path) -> list[Path]:
    """All files below a folder, hidden ones left out."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [
        path
        for path in found
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _pack(folder: Path, files: list[Path], done: Callable[[int], object]) -> Iterator[bytes]:
    """The archive in blocks of 64 kB at most, none of which is empty: that would be its end."""
    total = 0
    for path in files:
        # Links to files become files: an archive with links in it is refused.
        with path.open("rb") as file:
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = os.fstat(file.fileno()).st_size
            yield member.tobuf()
            for block in _contents(file, member.size):
                yield block
                total += len(block)
                done(total)
            if padding := -member.size % tarfile.BLOCKSIZE:
                yield bytes(padding)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _contents(file: IO[bytes], size: int) -> Iterator[bytes]:
    """A file's bytes, of which the archive has announced this many.

    Raises:
        DataError: it has more of them, or fewer.
    """
    left = size
    while block := file.read(min(left, _BLOCK)):
        left -= len(block)
        yield block
    if left or file.read(1):
        change = f"it ended {left} bytes before that" if left else "it has grown"
        raise DataError(
            f"{file.name} had {size} bytes when it was opened, and while it was packed {change}; "
            "pack it again when nothing writes into it"
        )
