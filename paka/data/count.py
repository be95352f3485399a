"""How many images a data set has, without reading all of a large one."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from paka.data import arrow
from paka.data.folder import SUFFIXES, find_files, holds_labels, no_images
from paka.data.images import is_archive, kind_of, list_archives
from paka.data.tar import scan
from paka.data.zip import ZipImages

MAX_HEADERS = 2_000
"""Members of tars that are looked at: each takes a read of the disk, wherever that is."""


class Count(NamedTuple):
    """Images that were found in a `share` of the data set, 0 to 1."""

    images: int
    share: float = 1.0

    @property
    def complete(self) -> bool:
        """Whether all were counted."""
        return self.share == 1

    @property
    def estimate(self) -> int:
        """How many there are in all, if the rest is like the part that was looked at."""
        return round(self.images / self.share) if self.share else self.images


def count_images(path: Path, max_entries: int) -> Count:
    """Count the images of a data set.

    Args:
        path: as `paka.data.images.open_images` takes it.
        max_entries: files and folders that are looked at, in archives `MAX_HEADERS` at most.

    Raises:
        DataError: it is no data set, or an archive or a saved data set is damaged.
        ConfigError: a package that it takes is not installed.
    """
    kind = kind_of(path)
    if kind == "arrow":
        return Count(sum(map(arrow.count_rows, arrow.splits(path))))
    if kind != "folder":
        return _count_members([path], max_entries)
    images, archives = 0, list[Path]()
    for number, file in enumerate(_walk(path)):
        if number == max_entries:
            return Count(images, 0.0)
        images += file.name.lower().endswith(SUFFIXES)
        archives += [Path(file.path)] if is_archive(Path(file.name)) else []
    return Count(images) if images or not archives else _count_members(archives, max_entries)


def check_images(path: Path) -> None:
    """Raise DataError unless a data set holds an image; large archives are read no further."""
    kind = kind_of(path)
    if kind == "arrow":
        found = any(arrow.image_column(f) and arrow.count_rows(f) for f in arrow.splits(path))
    elif kind == "folder":
        found = bool(find_files(path, SUFFIXES)) or any(map(_has_images, list_archives(path)))
    else:
        found = _has_images(path)
    if not found:
        raise no_images(path)


def _has_images(archive: Path) -> bool:
    if kind_of(archive) == "zip":
        return len(ZipImages(archive, "")) > 0
    return any(entry.image for entry in scan(archive))


def _count_members(archives: Sequence[Path], max_entries: int) -> Count:
    sizes = [archive.stat().st_size for archive in archives]
    images = entries = done = 0
    limit = min(max_entries, MAX_HEADERS)
    for archive, size in zip(archives, sizes, strict=True):
        if kind_of(archive) == "zip":  # whose list of members is in one piece
            images += len(ZipImages(archive, ""))
        else:
            for entry in scan(archive):
                if entries == limit:
                    return Count(images, (done + entry.offset) / sum(sizes))
                entries += 1
                images += entry.image is not None
        done += size
    return Count(images)


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All that is neither hidden nor labels below a folder.

    Unlike `os.walk` it never reads more of a large folder than it is asked for.
    """
    waiting = [str(folder)]
    while waiting:
        parent = waiting.pop()
        with suppress(OSError), os.scandir(parent) as entries:  # else it is not counted
            for entry in entries:
                if not entry.name.startswith(".") and not holds_labels(parent, entry.name):
                    yield entry
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
