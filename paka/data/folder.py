"""The images of a folder."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from paka.data.links import Reach, check_links
from paka.data.names import Names
from paka.data.source import SUFFIXES as SUFFIXES
from paka.data.source import read_file
from paka.errors import DataError

LABELS = {
    "masks": "images",
    "annotations": "images",
    "gtFine": "leftImg8bit",
    "SegmentationClass": "JPEGImages",
    "SegmentationClassAug": "JPEGImages",
    "SegmentationObject": "JPEGImages",
}
"""Folders of labels, by the folder of images beside which they are no images of the data set."""


class ImageFiles:
    """Image files, by their paths below a folder."""

    def __init__(self, paths: Iterable[str], root: Path = Path()) -> None:
        self._names, self.root = Names(paths), root

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """Its path below the root; one that lies elsewhere is called by its whole path."""
        return self._names[index]

    def read(self, index: int) -> bytes:
        """The file."""
        name = self.name(index)
        return read_file(self.root / name, name)


def list_images(root: Path) -> list[Path]:
    """Return the images in a folder and its sub-folders, sorted by their path.

    Hidden files and folders are passed over, as are masks beside their images (`LABELS`). Links to
    folders are not followed, so there is no end only where there is none.

    Raises:
        DataError: there is no such folder, no image in it, a folder that may not be read, or in a
            server's job a link that may not be followed.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {what}; give a folder of images")
    check_links(root, Reach.from_environment())
    found = find_files(root, SUFFIXES)
    if not found:
        raise no_images(root)
    return [root / path for path in found]


def find_files(root: Path, suffixes: tuple[str, ...]) -> list[str]:
    """Paths below a folder of the files with these endings (in small letters), as `list_images`
    finds them.
    """
    found: list[str] = []
    for folder, below, names in os.walk(root, onerror=_refuse):
        below[:] = [
            name for name in below if not name.startswith(".") and not holds_labels(folder, name)
        ]
        inside = Path(folder).relative_to(root)
        before = "" if inside == Path() else f"{inside}/"
        found += [
            before + name
            for name in names
            if name.lower().endswith(suffixes) and not name.startswith(".")
        ]
    found.sort()
    return found


def holds_labels(parent: str, name: str) -> bool:
    """Whether a folder is one of `LABELS`, whose images lie beside it."""
    return name in LABELS and Path(parent, LABELS[name]).is_dir()


def no_images(path: Path) -> DataError:
    """The error of a data set without images."""
    return DataError(f"{path} holds no images (looked for {', '.join(SUFFIXES)})")


def _refuse(error: OSError) -> NoReturn:
    raise DataError(
        f"{error.filename} cannot be read ({error.strerror}); give the right to read it, or a "
        "folder without it"
    ) from error
