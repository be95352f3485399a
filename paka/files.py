"""Writing files so that nobody ever sees half of one: aside, fsync, rename."""

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

# No space, no quota left, or more than a process may write into one file.
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Our own names of what is not yet whole, and those of safetensors, which writes aside by itself.
_ASIDE = (".*.tmp", ".tmp??????")
# Reading it means setting it, for the files of all threads: here there is one, or hardly more.
_UMASK = os.umask(0o077)
os.umask(_UMASK)


def is_disk_full(error: BaseException | None) -> bool:
    """True if the disk had no room for what was to be written, whatever a library made of it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            return True
        if any(f"(os error {number})" in str(error) for number in _DISK_FULL):  # safetensors
            return True
        error = error.__cause__ or error.__context__
    return False


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written; call it where none is writing."""
    for pattern in _ASIDE:
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file to; it takes its place when the block ends well."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield aside
        sync(aside)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Like `replacing`, for a folder of files; a folder already at `path` goes."""
    aside = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        for entry in (*aside.iterdir(), aside):
            sync(entry)
        if path.exists():
            shutil.rmtree(path)
        aside.rename(path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    sync(path.parent)


def share(path: Path) -> None:
    """Give a file the rights of any new one: safetensors makes its own for the owner alone."""
    path.chmod(0o666 & ~_UMASK)


def sync(path: Path) -> None:
    """Wait until a file's or a folder's content is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, in one piece."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def append_json_line(path: Path, value: Any) -> None:
    """Add a line of JSON as a whole or not at all.

    A last line that was cut short, by a full disk or with its process, goes first.
    """
    line = json.dumps(value).encode() + b"\n"
    with path.open("ab+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            file.seek(0)
            end = file.read().rfind(b"\n") + 1
            file.truncate(end)
        try:
            while line:  # a disk that becomes full takes a part
                line = line[file.write(line) :]
        except BaseException:
            file.truncate(end)
            raise


def try_append_json_line(path: Path, value: Any) -> None:
    """Add a line of JSON; on a full disk it is left out, which the log says."""
    try:
        append_json_line(path, value)
    except OSError as error:
        if not is_disk_full(error):
            raise
        log.warning("%s lacks a line: %s", path, error)


def read_json_lines(path: Path) -> list[Any]:
    """All complete lines; none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
