"""A path to the images that it stands for, whatever they are kept in."""

from pathlib import Path
from typing import Literal

from paka.data import arrow
from paka.data.folder import ImageFiles, find_files, no_images
from paka.data.links import Reach, check_links
from paka.data.source import SUFFIXES, ImageSource, Joined
from paka.data.tar import TarImages
from paka.data.zip import ZipImages
from paka.errors import DataError

Kind = Literal["folder", "tar", "zip", "arrow"]

ARCHIVES = (".tar", ".zip")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
_WANTED = "give a folder of images, a .tar or a .zip"


def open_images(path: Path) -> ImageSource:
    """Return the images at a path, in an order that is the same each time.

    It may be a folder of image files, a .tar or .zip, a folder of such archives (in which there are
    no image files: beside those, archives are passed over), or what `save_to_disk` of Hugging
    Face's `datasets` has made, all splits together.

    Raises:
        DataError: there is nothing of the kind, no image in it, or in a server's job a link that
            may not be followed.
        ConfigError: a package that it takes is not installed.
    """
    kind = kind_of(path)
    check_links(path, Reach.from_environment())
    if kind == "folder":
        found = _open_folder(path)
    elif kind == "arrow":
        folders = arrow.splits(path)
        found = Joined([arrow.ArrowImages(f, "" if f == path else f"{f.name}/") for f in folders])
    else:
        found = _open_archive(path, path.name)
    if not len(found):
        raise no_images(path)
    return found


def kind_of(path: Path) -> Kind:
    """What a path stands for, by its name and by what lies directly in it.

    Raises:
        DataError: it is not there, or no data set; it need not hold images.
    """
    if path.is_dir():
        return "arrow" if arrow.is_saved(path) else "folder"
    if not path.exists():
        raise DataError(f"{path} does not exist; {_WANTED}")
    if not is_archive(path):
        raise DataError(f"{path} is not a data set; {_WANTED}")
    _refuse_compressed(path)
    return "zip" if path.suffix.lower() == ".zip" else "tar"


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive, compressed or not."""
    return path.name.lower().endswith((*ARCHIVES, *_COMPRESSED))


def list_archives(folder: Path) -> list[Path]:
    """The archives in a folder and its sub-folders, sorted.

    Raises:
        DataError: one is compressed as a whole.
    """
    found = [folder / path for path in find_files(folder, (*ARCHIVES, *_COMPRESSED))]
    for path in found:
        _refuse_compressed(path)
    return found


def _open_folder(path: Path) -> ImageSource:
    if images := find_files(path, SUFFIXES):
        return ImageFiles(images, path)
    return Joined([_open_archive(p, str(p.relative_to(path))) for p in list_archives(path)])


def _open_archive(path: Path, label: str) -> ImageSource:
    return ZipImages(path, label) if path.suffix.lower() == ".zip" else TarImages(path, label)


def _refuse_compressed(path: Path) -> None:
    if path.name.lower().endswith(_COMPRESSED):
        raise DataError(
            f"{path} is compressed as a whole, so its images cannot be read one by one; make it a "
            ".tar (such as with gunzip), or unpack it into a folder"
        )
