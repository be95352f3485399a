"""Mask files: one class index for every pixel."""

from pathlib import Path

import numpy as np
from PIL import ExifTags

from paka.data.decode import open_image
from paka.errors import DataError

_INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B")
_ON_THEIR_SIDE = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def read_indices(path: Path) -> np.ndarray:
    """Return the values of a mask file as integers (H, W): grey values, or a palette's indices.

    Raises:
        DataError: not an image, cut short, or a colour image.
    """
    with open_image(path) as image:
        if image.mode not in _INDEX_MODES:
            raise DataError(
                f"{path} is a colour image ({image.mode}); a mask is a grey or palette image that "
                "holds a class index for each pixel"
            )
        values = np.asarray(image)
    return values.astype(np.uint8) if values.dtype == bool else values


def image_size(path: Path) -> tuple[int, int]:
    """Return width and height of an image, turned upright, from its header alone.

    Raises:
        DataError: not an image.
    """
    with open_image(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation) in _ON_THEIR_SIDE
    return (height, width) if turned else (width, height)
