"""Shards as Zarr (version 3): one .zip each, in which every image's patch tokens are a chunk.

The zip is what Zarr's own sharding would be, with two things more: it is one file, so that it can
be written aside and renamed, and downloaded at once; and it needs no codec that some readers lack.
"""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from paka.data.unreadable import Unreadable
from paka.errors import DataError
from paka.extras import load_extra
from paka.shards.base import About, Arrays

suffix = ".zarr.zip"


def write(path: Path, arrays: Arrays, about: About) -> None:
    """Write a shard: a group of arrays; what is said about it are the group's attributes.

    Raises:
        ConfigError: zarr is not installed.
    """
    zarr = _zarr()
    attributes = {"paka": about.how, "images": about.images, "skipped": about.skipped}
    with zarr.storage.ZipStore(path, mode="w") as store:
        group = zarr.create_group(store, attributes=attributes)
        for name, array in arrays.items():
            chunk = (1, *array.shape[1:]) if name == "patch_tokens" else array.shape
            group.create_array(name, data=array, chunks=chunk)


class ZarrShard:
    """One zip, and the arrays in it.

    Raises:
        ConfigError: zarr is not installed.
        DataError: it is damaged or cut short.
    """

    def __init__(self, path: Path) -> None:
        zarr = _zarr()
        try:
            store = zarr.storage.ZipStore(path, mode="r")
            self._group: Any = zarr.open_group(store, mode="r")
        except BadZipFile as error:
            raise DataError(f"{path} is damaged: {error}; remove it and make it again") from None

    def about(self) -> About:
        """What its attributes say."""
        said = self._group.attrs
        skipped = [Unreadable(*one) for one in said["skipped"]]
        return About(said["paka"], said["images"], skipped)

    def read(self, array: str, rows: slice) -> np.ndarray:
        """Some rows of one of its arrays."""
        return np.asarray(self._group[array][rows])


open = ZarrShard


def _zarr() -> Any:
    return load_extra("zarr", "formats", "the format zarr")
