"""The images of a folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from paka.data.links import Reach, check_links
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

    def __init__(self, paths: Sequence[Path], root: Path = Path()) -> None:
        self.paths, self.root = paths, root

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Its path below the root; one that lies elsewhere is called by its whole path."""
        path = self.paths[index]
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def read(self, index: int) -> bytes:
        """The file."""
        return read_file(self.paths[index], self.name(index))


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
    return found


def find_files(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files with these endings (in small letters) in a folder, as `list_images` finds them."""
    found: list[str] = []
    for folder, below, names in os.walk(root, onerror=_refuse):
        below[:] = [
            name for name in below if not name.startswith(".") and not holds_labels(folder, name)
        ]
        found += [
            f"{folder}/{name}"
            for name in names
            if name.lower().endswith(suffixes) and not name.startswith(".")
        ]
    return [Path(name) for name in sorted(found)]


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
