"""Reading an archive: every byte is held against its checksum before anything uses it."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

from pydantic import ValidationError

from service.backup import BackupError
from service.backup.manifest import ABOUT, CHECKSUMS, FORMAT, About, Checksums, FileSum
from service.datasets.archives import ArchiveError, Member, members

Progress = Callable[[int, int], None]

_SMALL_BYTES = 2**30  # more than the checksums of millions of files
_PART = r"(?!\.)[^/\0]+"
_NAME = re.compile(
    rf"files/secret\.key|files/artifacts/jobs(/{_PART})+|files/uploads(/{_PART})+"
    r"|tables/[a-z_]+\.jsonl"
)


class Contents(NamedTuple):
    """What a sound archive says of itself."""

    about: About
    sums: Checksums


def read(
    archive: Path,
    place: Callable[[str], Path] | None = None,
    progress: Progress = lambda done, total: None,
) -> Contents:
    """Verify an archive; with `place`, also write each member to the path that it gives for it.

    Raises:
        BackupError: it is cut short, damaged, no backup, or holds what a backup never does.
    """
    try:
        return _Reading(archive, place, progress).run()
    except ArchiveError as error:
        raise BackupError(f"{archive} cannot be read: {error}") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise BackupError(f"{archive} is no backup of this service: {error}") from error
    except FileNotFoundError as error:
        raise BackupError(f"there is no {error.filename}") from error


class _Reading:
    def __init__(
        self, archive: Path, place: Callable[[str], Path] | None, progress: Progress
    ) -> None:
        self.archive, self.place, self.progress = archive, place, progress
        self.found: dict[str, FileSum] = {}
        self.done, self.total = 0, 0

    def run(self) -> Contents:
        self.total = self.archive.stat().st_size
        about: About | None = None
        sums: Checksums | None = None
        for member in members(self.archive, self.total):
            if sums is not None or (about is None) != (member.name == ABOUT):
                raise BackupError(f"{self.archive} is no backup: {member.name!r} is out of place")
            if member.name == ABOUT:
                about = self._about(member)
            elif member.name == CHECKSUMS:
                sums = _checksums(member)
            else:
                self._take(member)
        if about is None or sums is None:
            raise BackupError(f"{self.archive} is no complete backup: its end is missing")
        if (differing := _differing(self.found, sums.members)) is not None:
            raise BackupError(f"{self.archive} is damaged: {differing} is not what was written")
        return Contents(about, sums)

    def _about(self, member: Member) -> About:
        content = b"".join(member.chunks())
        about = About.model_validate_json(content)
        if about.format != FORMAT:
            raise BackupError(
                f"{self.archive} has format {about.format}, this version reads {FORMAT}: "
                f"restore it with version {about.version}"
            )
        self.found[ABOUT] = FileSum(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        return about

    def _take(self, member: Member) -> None:
        if member.kind != "file" or not _NAME.fullmatch(member.name):
            raise BackupError(f"{self.archive} holds a {member.kind} {member.name!r}: no backup")
        if member.name in self.found:
            raise BackupError(f"{self.archive} holds {member.name!r} twice")
        if self.place is None:
            self._copy(member, None)
            return
        path = self.place(member.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            self._copy(member, target)

    def _copy(self, member: Member, target: IO[bytes] | None) -> None:
        digest, size = hashlib.sha256(), 0
        for chunk in member.chunks():
            digest.update(chunk)
            size += len(chunk)
            if target is not None:
                target.write(chunk)
        self.found[member.name] = FileSum(bytes=size, sha256=digest.hexdigest())
        self.done += size
        self.progress(self.done, self.total)


def _checksums(member: Member) -> Checksums:
    if member.size > _SMALL_BYTES:
        raise BackupError(f"{member.name} is too long to be what it says")
    return Checksums.model_validate_json(b"".join(member.chunks()))


def _differing(found: dict[str, FileSum], wanted: dict[str, FileSum]) -> str | None:
    """The first name that only one of them has, or with another content."""
    names = sorted(found.keys() | wanted.keys())
    return next((name for name in names if found.get(name) != wanted.get(name)), None)
