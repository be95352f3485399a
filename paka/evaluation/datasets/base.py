"""What every labelled data set is, however its folder is laid out."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paka.errors import DataError
from paka.evaluation.datasets.masks import image_size, read_indices

IGNORE = 255
_INVALID = -1


@dataclass(frozen=True, eq=False)
class Split:
    """Images with a class for each of their pixels.

    Attributes:
        images, masks: files, in the same order.
        lookup: int16 (256,), the class index of each value a mask file may hold, 255 = ignore,
            -1 = a value that may not be there; see `make_lookup`.
        labels: int64 (n,), one class per image, unrelated to the masks'; None if there are none.
    """

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    lookup: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def read_mask(self, index: int) -> np.ndarray:
        """Return the class indices of an image's pixels, uint8 (H, W); 255 = ignore.

        Raises:
            DataError: a file that cannot be read, a mask of another size than its image, or a
                value that is no class.
        """
        path = self.masks[index]
        values = read_indices(path)
        width, height = image_size(self.images[index])
        if values.shape != (height, width):
            raise DataError(
                f"{path} is {values.shape[1]} x {values.shape[0]} pixels, but its image "
                f"{self.images[index]} is {width} x {height}"
            )
        classes = self.lookup[np.clip(values, 0, IGNORE)]
        wrong = (classes == _INVALID) | (values != np.clip(values, 0, IGNORE))
        if wrong.any():
            raise DataError(
                f"{path} holds the value {values[wrong].flat[0]}, which is no class here; "
                f"expected are {describe_values(np.flatnonzero(self.lookup != _INVALID))}"
            )
        return classes.astype(np.uint8)

    def at_most(self, count: int | None) -> "Split":
        """Return this split, or `count` evenly spaced images of it if it has more."""
        if count is None or count >= len(self):
            return self
        chosen = ((np.arange(count) + 0.5) * len(self) / count).astype(int)
        return replace(
            self,
            images=tuple(self.images[i] for i in chosen),
            masks=tuple(self.masks[i] for i in chosen),
            labels=None if self.labels is None else self.labels[chosen],
        )


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """A data set for evaluation.

    Attributes:
        name: what a report calls it.
        layout: how its folder is laid out, a key of `LAYOUTS`.
        classes: names of the masks' classes, in the order of their indices.
        train, val: images that may be learned from, and images that are judged.
        label_names: names of the images' own classes, in the order of `Split.labels`; else empty.
    """

    name: str
    layout: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    label_names: tuple[str, ...] = ()


class Layout(NamedTuple):
    """One way of laying out a folder.

    `expects` says in words what must be there; `find` returns the folder, which may lie below the
    given one, or None if there is no such; `read` opens what `find` returned.
    """

    expects: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path], LabelledImages]


def first_with(root: Path, below: Sequence[str], needed: Sequence[str]) -> Path | None:
    """Return the first of `root` and the folders `below` it that has all that is `needed`."""
    for folder in (root, *(root / name for name in below)):
        if all((folder / name).exists() for name in needed):
            return folder
    return None


def make_lookup(classes: Mapping[int, int], ignored: Iterable[int] = (IGNORE,)) -> np.ndarray:
    """Return a `Split.lookup` from each allowed value's class index and the ignored values."""
    lookup = np.full(256, _INVALID, np.int16)
    lookup[list(ignored)] = IGNORE
    lookup[list(classes)] = list(classes.values())
    return lookup


def make_split(
    images: Sequence[Path],
    mask_of: Callable[[Path], Path],
    lookup: np.ndarray,
    labels: np.ndarray | None = None,
) -> Split:
    """Return a split, after a look whether all its files are there.

    Raises:
        DataError: no images, or images or masks that do not exist.
    """
    if not images:
        raise DataError("the data set lists no images for one of its splits")
    masks = [mask_of(image) for image in images]
    require_files("images", images)
    require_files("masks", masks)
    return Split(tuple(images), tuple(masks), lookup, labels)


def require_files(kind: str, files: Sequence[Path]) -> None:
    """Raise a DataError that counts the missing of `files` and names one of them."""
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DataError(f"{len(missing)} of {len(files)} {kind} are missing, {missing[0]} for one")


def fingerprint(files: Iterable[Path]) -> str:
    """Return a sha256 that changes when a file moves, is replaced or changes its length."""
    digest = hashlib.sha256()
    for file in files:
        about = file.stat()
        digest.update(f"{file.absolute()}\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def describe_values(values: np.ndarray) -> str:
    """Sorted integers in words: `0 … 10, 255`."""
    runs = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(f"{run[0]} … {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
