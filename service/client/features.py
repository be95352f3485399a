"""Dense features as the client gives them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from paka.files import share
from service.client.saving import placing

_ARRAYS = ("patch_tokens", "image_features", "boxes", "original_sizes")
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its header


@dataclass(frozen=True, repr=False)
class Features:
    """Dense features of B images, in the order in which they were given.

    Patch (row, column) of an image's grid (h, w) shows, of its box (x0, y0, x1, y1) in the
    original image's pixels, the part from x0 + column / w * (x1 - x0) on, y alike.

    Attributes:
        patch_tokens: (B, h, w, D), one vector for each patch.
        image_features: (B, D).
        boxes: (B, 4), the part of each image that its grid covers.
        original_sizes: (B, 2), each image's width and height in pixels.
        geometry: encoder and its sha256, patch size, grid, input size, and all options.
    """

    patch_tokens: NDArray[Any]
    image_features: NDArray[Any]
    boxes: NDArray[np.float32]
    original_sizes: NDArray[np.int32]
    geometry: dict[str, Any]

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.patch_tokens)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The patch tokens, wherever NumPy wants an array."""
        return np.array(self.patch_tokens, dtype, copy=copy)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.patch_tokens.shape))
        dtype, encoder = self.patch_tokens.dtype, self.geometry.get("encoder")
        return f"Features(patch_tokens={shape} {dtype}, encoder={encoder!r})"

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file, in the form in which the service answers.

        Raises:
            ConfigError: there is a folder in its place.
        """
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        with placing(Path(path)) as aside:
            save_file(arrays, aside, {"paka": json.dumps(self.geometry)})
            share(aside)
        return Path(path)


def read_features(content: bytes) -> Features:
    """The features in a safetensors answer, or in a file that `save` wrote.

    Raises:
        ValueError: there are none in it.
    """
    try:
        arrays = load(content)
        end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
        geometry = json.loads(json.loads(content[_LENGTH_BYTES:end])["__metadata__"]["paka"])
        return Features(**{name: arrays[name] for name in _ARRAYS}, geometry=geometry)
    except (SafetensorError, KeyError) as error:
        raise ValueError(
            f"this is no safetensors file of dense features: {error}; give the content of one that "
            "`Features.save` or POST /embed made"
        ) from error


def join(parts: Sequence[Features]) -> Features:
    """The features of several requests as those of one.

    Raises:
        ValueError: there are none.
    """
    if not parts:
        raise ValueError("there are no images")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    geometry = {k: v for k, v in parts[0].geometry.items() if k != "inference_seconds"}
    return Features(**arrays, geometry=geometry)
