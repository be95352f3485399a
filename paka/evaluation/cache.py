"""Arrays over many images that are made batch by batch: kept on disk, gone on with after a stop."""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from paka.files import read_json, sync, write_json

log = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]
Batches = Callable[[int], Iterator[Mapping[str, np.ndarray]]]

_SAVE_EVERY = 1024  # images at most that a killed process has made in vain
_DAMAGED = (OSError, ValueError, KeyError, EOFError)


def collect(
    batches: Batches,
    images: int,
    folder: Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Arrays:
    """Return the arrays of all images by name, each (images, ...).

    Args:
        batches: called with the number of images that are done; yields the arrays of the next
            ones, a batch at a time, with one row for each image.
        folder: where the arrays are kept, mapped into memory from its files. It appears when all
            is made; until then `<folder>.partial` holds what is done. If another process is
            making it, this one waits. None: the arrays are in memory alone.
        progress: called with the number of images done. An error that it raises leaves with all
            that is done kept.

    Raises:
        OSError: the disk is full.
    """
    if folder is None:
        return _fill(_Partial(None, images), batches, progress)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock"), lambda: progress(0)):
        arrays = _complete(folder, images)
        if arrays is None:
            aside = folder.with_name(f"{folder.name}.partial")
            _fill(_Partial(aside, images), batches, progress)
            aside.rename(folder)
            sync(folder.parent)
            arrays, _ = _read(folder, images)
    progress(images)
    return arrays


class _Partial:
    """Arrays of which the first `done` rows are made; with a folder, saved there."""

    def __init__(self, folder: Path | None, images: int) -> None:
        self.folder, self.images = folder, images
        self.arrays: Arrays = {}
        self.done = self._saved = 0
        if folder is None:
            return
        try:
            found, self.done = _read(folder, images)
            self.arrays = {name: open_memmap(folder / f"{name}.npy", "r+") for name in found}
        except _DAMAGED:  # not there, above all
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        self._saved = self.done

    def append(self, batch: Mapping[str, np.ndarray]) -> None:
        end = self.done + len(next(iter(batch.values())))
        for name, values in batch.items():
            if name not in self.arrays:
                self.arrays[name] = self._allocate(name, values)
            self.arrays[name][self.done : end] = values
        self.done = end
        if self.done - self._saved >= _SAVE_EVERY:
            self.save()

    def _allocate(self, name: str, values: np.ndarray) -> np.ndarray:
        shape = (self.images, *values.shape[1:])
        if self.folder is None:
            return np.empty(shape, values.dtype)
        path = self.folder / f"{name}.npy"
        array: Any = open_memmap(path, "w+", values.dtype, shape)
        # Space is taken now: a full disk would kill a process that writes to a mapped file.
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, array.offset + array.nbytes)
        return array

    def save(self) -> None:
        """Write down how many rows are made, once they are on the disk."""
        if self.folder is None or self.done == self._saved:
            return
        for name in self.arrays:
            self.arrays[name].flush()  # type: ignore[attr-defined]
            sync(self.folder / f"{name}.npy")
        write_json(self.folder / "made.json", {"images": self.done, "arrays": [*self.arrays]})
        self._saved = self.done


def _fill(partial: _Partial, batches: Batches, progress: Callable[[int], None]) -> Arrays:
    try:
        if partial.done < partial.images:
            for batch in batches(partial.done):
                partial.append(batch)
                progress(partial.done)
    finally:
        partial.save()
    return partial.arrays


def _complete(folder: Path, images: int) -> Arrays | None:
    """The arrays of a folder that is complete; None if there is none, and a damaged one goes."""
    if not folder.exists():
        return None
    try:
        arrays, done = _read(folder, images)
        if done == images:
            return arrays
    except _DAMAGED as error:
        log.warning("%s is damaged (%s) and made anew", folder, error)
    shutil.rmtree(folder)
    return None


def _read(folder: Path, images: int) -> tuple[Arrays, int]:
    made = read_json(folder / "made.json")
    # Changes would stay in memory ("c"); mapping for writing would lengthen a file cut short.
    arrays: Arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in made["arrays"]
    }
    if any(len(array) != images for array in arrays.values()):
        raise ValueError(f"not the arrays of {images} images")
    return arrays, made["images"]


@contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    with path.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(0.2)
        yield
