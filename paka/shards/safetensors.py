"""Shards as safetensors files: one read of the disk gives an image's features."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from paka.data.unreadable import Unreadable
from paka.errors import DataError
from paka.files import share
from paka.shards.base import About, Arrays

suffix = ".safetensors"


def write(path: Path, arrays: Arrays, about: About) -> None:
    """Write a shard; what is said about it is JSON in the file's metadata."""
    values = {"paka": about.how, "images": about.images, "skipped": about.skipped}
    save_file(arrays, path, {key: json.dumps(value) for key, value in values.items()})
    share(path)


class SafetensorsShard:
    """One file, mapped into memory.

    Raises:
        DataError: it is damaged or cut short.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file: Any = safe_open(path, "numpy")
        except SafetensorError as error:
            raise DataError(f"{path} is damaged: {error}; remove it and make it again") from None

    def about(self) -> About:
        """What its metadata say."""
        metadata = self._file.metadata()
        skipped = json.loads(metadata.get("skipped", "[]"))  # not in files of earlier versions
        how, images = (json.loads(metadata[key]) for key in ("paka", "images"))
        return About(how, images, [Unreadable(*one) for one in skipped])

    def read(self, array: str, rows: slice) -> np.ndarray:
        """Some rows of one of its tensors."""
        return np.asarray(self._file.get_slice(array)[rows])


open = SafetensorsShard
