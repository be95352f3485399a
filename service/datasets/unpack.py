"""Unpacking an archive of somebody else's: only files come out, only below the given folder.

Runs in a child process (`service.child_process`), because nobody knows what a crafted archive does
to the libraries that read it.
"""

import errno
import os
import shutil
import unicodedata
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from paka.data.folder import SUFFIXES
from paka.errors import DataError
from service.datasets.archives import ArchiveError, Member, members

# What the layouts of labelled data sets need beside images: lists, class names, labels.
KEPT = (*SUFFIXES, ".txt", ".csv", ".json")

MAX_TEXT_BYTES = 2**24
"""The API itself reads a data set's lists when a job names it."""

MAX_PATH_BYTES = 1000
MAX_NAME_BYTES = 200
MAX_DEPTH = 20

_SMALL = 64 * 2**20
"""Whatever the ratio, an archive may unpack to this much: a few flat images compress very well."""


class UnpackError(DataError):
    """An archive that is refused; `code` says why to programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[1])


class UnpackLimits(NamedTuple):
    """How much an archive may hold; `reserve_bytes` stay free on the disk."""

    files: int
    file_bytes: int
    total_bytes: int
    ratio: int
    reserve_bytes: int


class Unpacked(NamedTuple):
    """What came out; `ignored` is how many files were of no use to a data set."""

    files: int
    bytes: int
    ignored: int


def unpack(archive: Path, folder: Path, limits: UnpackLimits) -> Unpacked:
    """Unpack a .tar, .tar.gz or .zip into an empty folder.

    Files that a data set does not need and hidden ones are passed over.

    Raises:
        UnpackError: `archive_unreadable`, `archive_unsafe` (a path that leads elsewhere, a link, a
            device, a name twice), `archive_too_large`, or `disk_full`.
    """
    try:
        return _Unpacking(archive, folder, limits).run()
    except ArchiveError as error:
        raise UnpackError(error.code, str(error)) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UnpackError("disk_full", "the server's disk is full") from error


def check_space(folder: Path, needed: int, reserve: int) -> None:
    """Raise UnpackError (`disk_full`) unless there is room for this many bytes and a reserve."""
    free = shutil.disk_usage(folder).free - reserve
    if needed > free:
        message = f"{needed:,} bytes are to be written, but the disk has room for {max(free, 0):,}"
        raise UnpackError("disk_full", message)


class _Unpacking:
    def __init__(self, archive: Path, folder: Path, limits: UnpackLimits) -> None:
        self.archive, self.folder, self.limits = archive, folder, limits
        size = archive.stat().st_size
        self.allowed = min(limits.total_bytes, max(size * limits.ratio, _SMALL))
        self.names: set[PurePosixPath] = set()
        self.entries = self.bytes = self.ignored = 0

    def run(self) -> Unpacked:
        for member in members(self.archive, self.allowed):
            self.entries += 1
            if self.entries > self.limits.files:
                message = f"the archive has more than {self.limits.files:,} entries"
                raise UnpackError("archive_too_large", message)
            self._take(member, safe_path(member.name))
        # One call for all: to wait for each file by itself takes minutes for a large data set.
        os.sync()
        return Unpacked(len(self.names), self.bytes, self.ignored)

    def _take(self, member: Member, path: PurePosixPath) -> None:
        if member.kind == "folder":
            return
        if member.kind != "file":
            message = f"{member.name!r} is a {member.kind}; only files and folders are taken"
            raise UnpackError("archive_unsafe", message)
        if path.suffix.lower() not in KEPT or any(part.startswith(".") for part in path.parts):
            self.ignored += 1
            return
        if path in self.names:
            raise UnpackError("archive_unsafe", f"{member.name!r} is in the archive twice")
        self.names.add(path)
        self._check_size(member, member.size)
        target = self.folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                self._copy(member, out)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            message = f"{member.name!r} is in the archive as a file and as a folder"
            raise UnpackError("archive_unsafe", message) from None

    def _copy(self, member: Member, out: IO[bytes]) -> None:
        written = 0
        for chunk in member.chunks():
            written += len(chunk)
            self._check_size(member, written)
            check_space(self.folder, len(chunk), self.limits.reserve_bytes)
            out.write(chunk)
        self.bytes += written

    def _check_size(self, member: Member, size: int) -> None:
        limit = self.limits.file_bytes
        if not member.name.lower().endswith(SUFFIXES):
            limit = min(limit, MAX_TEXT_BYTES)
        if size > limit:
            message = f"{member.name!r} has more than {limit:,} bytes"
            raise UnpackError("archive_too_large", message)
        if self.bytes + size > self.allowed:
            message = f"the archive unpacks to more than the {self.allowed:,} bytes that it may"
            raise UnpackError("archive_too_large", message)


def safe_path(name: str) -> PurePosixPath:
    """Return a member's path, which stays below the folder that it is put into.

    Raises:
        UnpackError: `archive_unsafe`.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    wrong = _what_is_wrong(name, parts)
    if wrong:
        shown = ascii(name if len(name) <= 100 else name[:100] + "...")
        raise UnpackError("archive_unsafe", f"the name {shown} in the archive {wrong}")
    return PurePosixPath(*parts)


def _what_is_wrong(name: str, parts: list[str]) -> str | None:
    if name.startswith("/"):
        return "is absolute"
    if ".." in parts:
        return "leads out of its folder"
    if "\\" in name:
        return "holds a backslash"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "holds control characters, or is not UTF-8"
    if len(os.fsencode(name)) > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
        return f"is too long ({MAX_PATH_BYTES} bytes and {MAX_DEPTH} folders at most)"
    if any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts):
        return f"has a part of more than {MAX_NAME_BYTES} bytes"
    return None
