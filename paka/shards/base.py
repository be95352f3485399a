"""What a shard of features holds, whatever its format."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from paka.data.unreadable import Unreadable

Arrays = dict[str, np.ndarray]
"""`patch_tokens` (n, h, w, D) and `image_features` (n, D), both float16 or float32; `boxes` (n, 4)
float32; `original_sizes` (n, 2) int32 as (width, height)."""


class About(NamedTuple):
    """How a shard's features were made, whose they are, and which images were left out of it."""

    how: dict[str, Any]
    images: list[str]
    skipped: list[Unreadable]


class Shard(Protocol):
    """One open file of features. Only what is asked for is read."""

    def about(self) -> About:
        """What it says of itself."""
        ...

    def read(self, array: str, rows: slice) -> np.ndarray:
        """Some rows of one of its arrays."""
        ...


class ShardFormat(Protocol):
    """A way to write shards, and to read them."""

    suffix: str

    def write(self, path: Path, arrays: Arrays, about: About) -> None:
        """Write a shard to a path that is whole only once this returns."""
        ...

    def open(self, path: Path) -> Shard:
        """Open a shard; it is this process's alone. DataError if it is damaged."""
        ...
