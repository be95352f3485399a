"""Reading the features of a data set, image by image or many at a time."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from paka.errors import DataError
from paka.files import read_json
from paka.shards.base import Shard
from paka.shards.formats import open_shard


class ImageFeatures(NamedTuple):
    """One image's features.

    `patch_tokens` (h, w, D); `image_features` (D,); `box` (4,), the part of the image that the grid
    covers as (x0, y0, x1, y1) in its pixels; `original_size` (2,) as (width, height).
    """

    name: str
    patch_tokens: np.ndarray
    image_features: np.ndarray
    box: np.ndarray
    original_size: np.ndarray


class FeatureBatch(NamedTuple):
    """The features of n images: each of `ImageFeatures` with an axis of n before it."""

    names: list[str]
    patch_tokens: np.ndarray
    image_features: np.ndarray
    boxes: np.ndarray
    original_sizes: np.ndarray


class FeatureReader:
    """The features that `paka embed FOLDER` or an `embed` job has written, in either format.

    A sequence of images by number, name or slice, of which only what is asked for is read. It is a
    data set for torch's DataLoader too, whose processes each open the files for themselves.

    Args:
        folder: where index.json is.

    Attributes:
        names: of the images, in their order; those that could not be read are not among them.
        geometry: how the features were made: encoder and its sha256, patch size, grid (h, w), input
            size, and all options.
        skipped: name and reason of images that could not be read.

    Raises:
        DataError: there is no index: it is written last, so the features are not complete.

    Example:
        >>> reader = FeatureReader("features")
        >>> reader["cat.jpg"].patch_tokens.shape
        (28, 28, 192)
        >>> for batch in reader.batches(64):
        ...     print(batch.names, batch.image_features.shape)
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        index = _read_index(self.folder / "index.json")
        shards, self.skipped = index.pop("shards"), index.pop("skipped", [])
        del index["images"]
        self.geometry: dict[str, Any] = index
        self.names: list[str] = [name for shard in shards for name in shard["images"]]
        self._files = [self.folder / shard["file"] for shard in shards]
        self._ends = list(accumulate(len(shard["images"]) for shard in shards))
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._open: dict[tuple[int, int], Shard] = {}

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, key: int | str) -> ImageFeatures: ...
    @overload
    def __getitem__(self, key: slice) -> FeatureBatch: ...
    def __getitem__(self, key: int | str | slice) -> ImageFeatures | FeatureBatch:
        """One image's features by its number or name, or those of a slice of all images.

        Raises:
            KeyError: there is no image of this name.
            IndexError: there are not as many images.
            ValueError: the slice has a step.
        """
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step != 1:
                raise ValueError(f"a slice of features has no step, got {step}")
            return self._batch(start, max(start, stop))
        number = self._numbers[key] if isinstance(key, str) else range(len(self))[key]
        batch = self._batch(number, number + 1)
        return ImageFeatures(self.names[number], *(array[0] for array in batch[1:]))

    def __iter__(self) -> Iterator[ImageFeatures]:
        return (self[number] for number in range(len(self)))

    def batches(self, size: int) -> Iterator[FeatureBatch]:
        """All images in their order, `size` at once, fewer in the last batch."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}}

    def _batch(self, start: int, stop: int) -> FeatureBatch:
        parts = list(self._parts(start, stop))
        arrays = (
            np.concatenate([shard.read(field, rows) for shard, rows in parts])
            for field in FeatureBatch._fields[1:]
        )
        return FeatureBatch(self.names[start:stop], *arrays)

    def _parts(self, start: int, stop: int) -> Iterator[tuple[Shard, slice]]:
        """The shards over which these images lie, and their rows in each."""
        if start == stop:  # no rows, of the right shape
            yield self._shard(0), slice(0, 0)
        number = bisect_right(self._ends, start)
        while start < stop:
            first = self._ends[number - 1] if number else 0
            end = min(stop, self._ends[number])
            yield self._shard(number), slice(start - first, end - first)
            start, number = end, number + 1

    def _shard(self, number: int) -> Shard:
        # A forked process must not read a zip through its parent's place in the file.
        key = (os.getpid(), number)
        if key not in self._open:
            if len(self._open) >= _OPEN_SHARDS:
                self._open.pop(next(iter(self._open)))
            self._open[key] = open_shard(self._files[number])
        return self._open[key]


_OPEN_SHARDS = 64


def _read_index(file: Path) -> dict[str, Any]:
    try:
        return dict(read_json(file))
    except FileNotFoundError:
        raise DataError(
            f"{file} is not there; it is written last, so either the features are not complete or "
            "this is another folder"
        ) from None
