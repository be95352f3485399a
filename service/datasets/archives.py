"""The members of .tar, .tar.gz and .zip files one after the other, of crafted ones too."""

import errno
import gzip
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

Kind = Literal["file", "folder", "link", "device", "file with holes"]

_CHUNK_BYTES = 2**16
_MAX_HEADER_BYTES = 2 * _CHUNK_BYTES
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ArchiveError(Exception):
    """An archive cannot be read; `code` says why to programs."""

    def __init__(self, message: str, code: str = "archive_unreadable") -> None:
        super().__init__(message)
        self.code = code


class Member(NamedTuple):
    """One entry; `name` and `size` (bytes) as the archive says, true or not.

    `chunks` gives the content, and must be called before the next member is asked for; it raises
    ArchiveError.
    """

    name: str
    kind: Kind
    size: int
    chunks: Callable[[], Iterator[bytes]]


def members(archive: Path, max_bytes: int) -> Iterator[Member]:
    """Yield an archive's members.

    Args:
        max_bytes: how much a compressed tar may hold in all, what nobody reads included.

    Raises:
        ArchiveError: it is none of the three kinds, cut short, damaged, encrypted, or larger.
    """
    with archive.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(b"PK"):
        found = _zip_members(archive)
    elif magic.startswith(b"\x1f\x8b"):
        found = _tar_members(archive, gzip.open, max_bytes)
    else:
        found = _tar_members(archive, open, max_bytes)
    with _readable():
        yield from found


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what the libraries raise into ArchiveError; errors of whoever takes the members pass."""
    try:
        yield
    except ArchiveError:
        raise
    except OSError as error:
        # A wrong place to look at is the archive's fault; all other numbers are the disk's.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise ArchiveError(f"the archive cannot be read: {error}") from error
    except Exception as error:  # there is no telling what they raise for a crafted archive
        message = (
            f"the archive is no .tar, .tar.gz or .zip that can be read: {error or repr(error)}"
        )
        raise ArchiveError(message) from error


def _tar_members(
    archive: Path, opener: Callable[[Path, Literal["rb"]], Any], max_bytes: int
) -> Iterator[Member]:
    with opener(archive, "rb") as file:
        source = _Forward(file, max_bytes)
        with tarfile.open(fileobj=source, mode="r:", errors="surrogateescape") as tar:  # type: ignore[call-overload]
            while (entry := tar.next()) is not None:
                tar.members.clear()  # it would keep them all
                chunks = partial(_chunks, partial(tar.extractfile, entry))
                yield Member(entry.name, _tar_kind(entry), entry.size, chunks)
        # Anything else than zeros looks like the end to tarfile, too.
        if source.last != bytes(tarfile.BLOCKSIZE):
            raise ArchiveError("the archive is cut short or damaged")


def _tar_kind(entry: tarfile.TarInfo) -> Kind:
    if entry.size < 0:
        raise ArchiveError("the archive's sizes are wrong")
    if entry.isdir():
        return "folder"
    if entry.issym() or entry.islnk():
        return "link"
    if entry.issparse():
        return "file with holes"
    return "file" if entry.isreg() else "device"


class _Forward:
    """A file that tarfile reads from front to back, and not for ever.

    Headers are held in memory as a whole, so a long one is refused; a negative size would send
    tarfile back and around in circles.
    """

    def __init__(self, file: IO[bytes], max_bytes: int) -> None:
        self._file, self._max_bytes = file, max_bytes
        self.last = b""

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER_BYTES:
            raise ArchiveError("the archive has a header that is too long")
        self.last = self._file.read(size)
        return self.last

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int) -> int:
        if position < self._file.tell() - 1:  # one byte: tarfile looks whether there is more
            raise ArchiveError("the archive's sizes are wrong")
        if position > self._max_bytes:
            message = f"the archive unpacks to more than the {self._max_bytes:,} bytes that it may"
            raise ArchiveError(message, "archive_too_large")
        return self._file.seek(position)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for entry in file.infolist():
            if entry.flag_bits & 1:
                raise ArchiveError("the archive is encrypted")
            if entry.compress_type not in _ZIP_METHODS:
                raise ArchiveError(f"{entry.filename!r} is compressed by another way than deflate")
            chunks = partial(_chunks, partial(file.open, entry))
            yield Member(entry.filename, _zip_kind(entry), entry.file_size, chunks)


def _zip_kind(entry: zipfile.ZipInfo) -> Kind:
    mode = entry.external_attr >> 16  # of the system that made it; 0 if that was none with modes
    if stat.S_ISLNK(mode):
        return "link"
    if entry.is_dir():
        return "folder"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "device"


def _chunks(open_member: Callable[[], Any]) -> Iterator[bytes]:
    with _readable(), open_member() as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk
