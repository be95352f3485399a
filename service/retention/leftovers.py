"""Files without rows: what a crash, a deletion or a restore has left on the disk."""

import os
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ASIDE = ".collected-"
_JOB_ID = re.compile(r"job_[0-9a-hjkmnp-tv-z]{26}")
DAY_SECONDS = 86_400.0


class Leftover(NamedTuple):
    """A folder that no row names."""

    path: Path
    bytes: int


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 if there is none."""
    if not path.is_dir():
        return path.stat().st_size if path.exists() else 0
    total = 0
    for parent, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118
            except FileNotFoundError:
                continue
    return total


def folders_without_job(jobs_folder: Path, known: Collection[str]) -> list[Leftover]:
    """Folders of jobs that there are not, untouched for a day.

    One that is younger than every job of the database is left alone: ids sort by time, so it rather
    tells that this is not the database which it belongs to, but an older copy.
    """
    old = time.time() - DAY_SECONDS
    folders = sorted(jobs_folder.iterdir()) if jobs_folder.is_dir() else []
    return [
        Leftover(folder, size_of(folder))
        for folder in folders
        if is_job_of_no_one(folder.name, known) and folder.stat().st_mtime < old
    ]


def is_job_of_no_one(name: str, known: Collection[str]) -> bool:
    """Whether a folder is that of a job which there is not, though there are later ones."""
    return bool(_JOB_ID.fullmatch(name)) and name not in known and name < max(known, default="")


def put_aside(paths: Iterable[Path], job_folder: Path) -> Iterator[Path]:
    """Rename files and folders of a job out of everybody's sight, one step each; yield them."""
    for number, path in enumerate(paths):
        if path.exists():
            aside = job_folder / f"{ASIDE}{time.time_ns()}-{number}"
            path.rename(aside)
            yield aside


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; others may be at it as well."""
    while path.is_dir() and not path.is_symlink():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)
    path.unlink(missing_ok=True)
