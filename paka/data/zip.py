"""The images of a .zip."""

import stat
import zipfile
from pathlib import Path
from typing import Any

from paka.data.members import ArchiveFile, image_name, readable
from paka.data.source import MAX_BYTES, check_size

_MAX_DIRECTORY_BYTES = 2**26
"""Of the list of all members: about half a million of them. More are better kept as .tar."""


class ZipImages:
    """The images of one zip, each unpacked when it is read.

    Links and devices are passed over. Of members with the same name the last counts.

    Args:
        label: what stands before the members' names.

    Raises:
        DataError: it is no zip, cut short, or its list of members is larger than 64 MiB.
    """

    def __init__(self, path: Path, label: str) -> None:
        self.path, self.label = path, label
        with readable(path):
            file = ArchiveFile(path, _MAX_DIRECTORY_BYTES)
            self._zip = zipfile.ZipFile(file)
            file.max_read = MAX_BYTES  # of members from here on
        found = {image_name(each.filename): each for each in self._zip.infolist() if _is_file(each)}
        found.pop(None, None)
        self._members = list(found.items())

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "label": self.label}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._members)

    def name(self, index: int) -> str:
        """The label, and the member's path."""
        return f"{self.label}/{self._members[index][0]}"

    def read(self, index: int) -> bytes:
        """The member."""
        member, name = self._members[index][1], self.name(index)
        check_size(member.file_size, name)
        with readable(name), self._zip.open(member) as file:
            # Not without a number: it would unpack up to 2 GiB, whatever the member's size.
            return file.read(member.file_size)


def _is_file(member: zipfile.ZipInfo) -> bool:
    mode = member.external_attr >> 16  # of the system that made it; 0 if that was none with modes
    return not member.is_dir() and stat.S_IFMT(mode) in (0, stat.S_IFREG)
