"""What archives of all kinds share: which members are images, and a file that is safe to read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from paka.data.source import SUFFIXES
from paka.errors import ConfigError, DataError

_MAX_NAME = 1000


def image_name(name: str) -> str | None:
    """Return an image's path in its archive; None for members that are passed over.

    These are files with other endings, hidden ones as in a folder, and paths that lead elsewhere.
    """
    if not name.lower().endswith(SUFFIXES) or len(name) > _MAX_NAME or name.startswith("/"):
        return None
    parts = PurePosixPath(name).parts
    if any(part.startswith(".") for part in parts):  # `..` is one of them
        return None
    path = "/".join(parts)
    # Names go into JSON, a database and terminals, none of which takes everything.
    return path if path.isprintable() else ascii(path)[1:-1]


class ArchiveFile:
    """An archive as a library reads it: wherever it likes, but not much at once.

    The position is this object's own, not the kernel's, which forked processes would share.

    Args:
        max_read: bytes in one piece, such as a header, which libraries hold in memory.
    """

    _handle: int | None = None

    def __init__(self, path: Path, max_read: int) -> None:
        self._handle = os.open(path, os.O_RDONLY)
        self._size, self._position = os.fstat(self._handle).st_size, 0
        self.max_read = max_read
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, all that are left if `size` is negative; kept as `last`.

        Raises:
            DataError: that is more than `max_read`.
        """
        left = max(self._size - self._position, 0)
        size = left if size < 0 else min(size, left)
        if size > self.max_read:
            raise DataError(f"it has a header of more than {self.max_read:,} bytes")
        assert self._handle is not None, "closed"
        self.last = os.pread(self._handle, size, self._position)
        self._position += len(self.last)
        return self.last

    def tell(self) -> int:
        """The position."""
        return self._position

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Set the position; return it."""
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        self._position = max(starts[whence] + position, 0)
        return self._position

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file; it also closes by itself, with the last that refers to it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    __del__ = close


@contextmanager
def readable(name: Path | str) -> Iterator[None]:
    """Turn whatever libraries raise for a damaged or crafted archive into DataError."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # there is no telling what that is
        raise DataError(f"{name} cannot be read: {str(error) or repr(error)}") from error
