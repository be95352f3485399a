"""Bringing what a job's process writes to the bucket, while it runs and at its end."""

import logging
import os
import threading
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from service.store.attempts import LeaseLost
from service.store.bucket import NODES, Bucket, BucketError, first_what_completes

log = logging.getLogger(__name__)

_LARGE = ("checkpoints", "final", "features")
_PAUSES = 9
"""How many times longer the pause is than writing a large log has taken."""


class Version(NamedTuple):
    """What tells that a file has changed."""

    size: int
    inode: int
    modified: int


def versions(folder: Path) -> dict[Path, Version]:
    """All files of a job that outlast its process: no locks, nothing half-written, no caches."""
    found = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(parent, name) for name in names):
            if _lasts(path.relative_to(folder)):
                try:
                    status = path.stat()
                except FileNotFoundError:  # it has just been removed
                    continue
                found[path] = Version(status.st_size, status.st_ino, status.st_mtime_ns)
    return found


def _lasts(path: Path) -> bool:
    """Whether a path below a job's folder is worth keeping; an evaluation has a cache of features,
    in a folder of the name that the features of an embed job have. Other nodes have their workers.
    """
    if path.parts[0] == NODES:
        return False
    if "features" in path.parts[:-1]:
        return len(path.parts) == 2 and path.name.startswith(("features-", "index.json"))
    return path.name != "lock" and not path.name.startswith(".")


class Uploads:
    """Follows a job's folder in two threads, so that a log need not wait for a checkpoint.

    Args:
        seconds: pause between two looks.
        check_lease: raises LeaseLost if the job is another's by now; asked before each change.
    """

    def __init__(
        self, bucket: Bucket, folder: Path, seconds: float, check_lease: Callable[[], None]
    ) -> None:
        self._bucket, self._folder, self._seconds = bucket, folder, seconds
        self._parts = [_Part(bucket, folder, large, check_lease) for large in (False, True)]
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(part,), name="uploads", daemon=True)
            for part in self._parts
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is on its way comes to its end."""
        self._stopped.set()

    def finish(self) -> None:
        """Bring the rest, and see that all of it is there.

        Raises:
            BucketError: the bucket is away, or lacks what was written to it.
            LeaseLost: the job is another's.
        """
        self.stop()
        for thread in self._threads:
            thread.join()
        for _ in range(2):  # what was removed from the bucket meanwhile is written once more
            for part in self._parts:
                part.bring()
            lacking = lacks(self._bucket, self._folder)
            if not lacking:
                return
            for part in self._parts:
                part.forget(lacking)
        raise BucketError(f"{lacking[0]} was written to the object storage, which does not have it")

    def _follow(self, part: "_Part") -> None:
        trouble, pause = False, self._seconds
        while not self._stopped.wait(pause):
            began = time.monotonic()
            try:
                part.bring()
                trouble = False
            except LeaseLost:
                return
            except Exception as error:  # the bucket's or the database's; the job goes on
                if not trouble:
                    expected = isinstance(error, BucketError)
                    log.warning("trying again: %s", error, exc_info=not expected)
                trouble = True
            if not part.large:  # a file that has grown is written as a whole
                pause = max(self._seconds, _PAUSES * (time.monotonic() - began))


def lacks(bucket: Bucket, folder: Path) -> list[Path]:
    """The files of a job's folder that the bucket has not, or with another size."""
    objects = bucket.objects(folder)
    return [path for path, at in versions(folder).items() if objects.get(path) != at.size]


class _Part:
    """One part of a job's files: those that are small and grow, or those that are large and do not
    change once they are there.
    """

    def __init__(
        self, bucket: Bucket, folder: Path, large: bool, check_lease: Callable[[], None]
    ) -> None:
        self._bucket, self._folder, self.large = bucket, folder, large
        self._check_lease = check_lease
        self._known: dict[Path, Version | None] | None = None if large else {}

    def bring(self) -> None:
        """Write to the bucket what is new or changed; of checkpoints, remove what was pruned."""
        here = {path: at for path, at in versions(self._folder).items() if self._is_mine(path)}
        if self._known is None:
            self._known = self._at_start(here)
        changed = sorted(path for path, at in here.items() if self._known.get(path) != at)
        for folder, paths in groupby(changed, key=lambda path: path.parent):
            self._bring_folder(folder, {path: here[path] for path in paths}, self._known)
        self._prune(here, self._known)

    def forget(self, paths: list[Path]) -> None:
        """Take these for new the next time."""
        for path in paths:
            if self._known is not None:
                self._known.pop(path, None)

    def _is_mine(self, path: Path) -> bool:
        return (path.relative_to(self._folder).parts[0] in _LARGE) == self.large

    def _at_start(self, here: dict[Path, Version]) -> dict[Path, Version | None]:
        """What an earlier attempt has brought. Another host may have made other files of the same
        size: those are the same that are complete here and there by the same meta.json.
        """
        objects = self._bucket.objects(self._folder)
        there = {path: size for path, size in objects.items() if self._is_mine(path)}
        metas = [path for path in there if path.name == "meta.json" and path in here]
        same = {meta.parent for meta in metas if self._is_same(meta)}
        return {
            path: at if path.parent in same and (at := here.get(path)) and at.size == size else None
            for path, size in there.items()
        }

    def _is_same(self, path: Path) -> bool:
        """Whether a small file is the same here and in the bucket."""
        try:
            return path.read_bytes() == self._bucket.read(path)
        except FileNotFoundError:  # it has just been removed
            return False

    def _bring_folder(
        self, folder: Path, changed: dict[Path, Version], known: dict[Path, Version | None]
    ) -> None:
        """Bring files of one folder; until all are there the bucket has no meta.json of it."""
        meta = folder / "meta.json"
        if meta in known and meta in changed:
            self._check_lease()
            self._bucket.remove(meta)
            del known[meta]
        for path in reversed(first_what_completes(changed)):
            self._check_lease()
            try:
                self._bucket.push(path)
            except FileNotFoundError:  # pruned meanwhile, with its folder
                return
            known[path] = changed[path]

    def _prune(self, here: dict[Path, Version], known: dict[Path, Version | None]) -> None:
        """Remove checkpoints that are not here any more. Where there is none at all, somebody has
        removed the folder, and the bucket has the only ones.
        """
        complete = {path.parent for path in here if path.name == "meta.json"}
        checkpoints = self._folder / "checkpoints"
        if not any(folder.parent == checkpoints for folder in complete):
            return
        gone = [path for path in known if path.parent.parent == checkpoints and path not in here]
        for path in first_what_completes(gone):
            self._check_lease()
            self._bucket.remove(path)
            del known[path]
