"""Writing a tar whose last members can be taken back."""

import hashlib
import io
import tarfile
from typing import IO

from service.backup.manifest import FileSum

_CHUNK_BYTES = 2**20


class ChangedError(Exception):
    """A file became shorter while it was read."""


class TarWriter:
    """Adds members one after the other, and knows size and sha256 of each."""

    def __init__(self, target: IO[bytes]) -> None:
        self.members: dict[str, FileSum] = {}
        self._target = target

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a member."""
        self.add(name, io.BytesIO(content), len(content))

    def add(self, name: str, source: IO[bytes], size: int) -> FileSum:
        """Add the first `size` bytes of a file; what is appended to it meanwhile stays out.

        Raises:
            ChangedError: there are fewer; the member has been taken back.
        """
        start = self._target.tell()
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        self._target.write(info.tobuf(tarfile.PAX_FORMAT))
        digest, left = hashlib.sha256(), size
        while left:
            chunk = source.read(min(_CHUNK_BYTES, left))
            if not chunk:
                self._cut(start)
                raise ChangedError(f"{name} became shorter while it was read")
            digest.update(chunk)
            self._target.write(chunk)
            left -= len(chunk)
        self._target.write(bytes(-size % tarfile.BLOCKSIZE))
        self.members[name] = FileSum(bytes=size, sha256=digest.hexdigest())
        return self.members[name]

    def mark(self) -> tuple[int, int]:
        """Return the place to `take_back` to."""
        return self._target.tell(), len(self.members)

    def take_back(self, mark: tuple[int, int]) -> None:
        """Remove all members since the mark."""
        position, count = mark
        for name in list(self.members)[count:]:
            del self.members[name]
        self._cut(position)

    def close(self) -> None:
        """Write the end."""
        self._target.write(bytes(2 * tarfile.BLOCKSIZE))
        self._target.flush()

    def _cut(self, position: int) -> None:
        self._target.seek(position)
        self._target.truncate()
