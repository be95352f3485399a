"""The images of a folder."""

import os
from pathlib import Path
from typing import NoReturn

from paka.data.links import Reach, check_links
from paka.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")


def list_images(root: Path) -> list[Path]:
    """Return the images in a folder and its sub-folders, sorted by their path.

    Hidden files and folders are passed over; links to folders are not followed, so there is no end
    only where there is none.

    Raises:
        DataError: there is no such folder, no image in it, a folder that may not be read, or in a
            server's job a link that may not be followed.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {what}; give a folder of images")
    check_links(root, Reach.from_environment())
    found: list[str] = []
    for folder, below, names in os.walk(root, onerror=_refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [
            f"{folder}/{name}"
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    if not found:
        raise DataError(f"{root} holds no images (looked for {', '.join(SUFFIXES)})")
    return [Path(name) for name in sorted(found)]


def _refuse(error: OSError) -> NoReturn:
    raise DataError(
        f"{error.filename} cannot be read ({error.strerror}); give the right to read it, or a "
        "folder without it"
    ) from error
