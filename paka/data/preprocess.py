"""A photograph to an encoder's input, remembering which part of it each patch shows."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from paka.choices import Resize

Box = tuple[float, float, float, float]


class Prepared(NamedTuple):
    """An encoder's input, and where it comes from.

    `pixels` uint8 (H, W, 3); `box` (x0, y0, x1, y1) in the original's pixels: patch (row, column)
    of an h x w grid shows x0 + column / w * (x1 - x0) and so on; `original_size` (width, height).
    """

    pixels: np.ndarray
    box: Box
    original_size: tuple[int, int]


def prepare(image: Image.Image, height: int, width: int, resize: Resize) -> Prepared:
    """Bring an RGB image to height x width pixels by one bicubic resampling.

    `crop` takes the largest centred part of the right shape; `stretch` takes all of the image,
    whatever its shape.
    """
    box: Box = (0.0, 0.0, float(image.width), float(image.height))
    if resize == "crop":
        scale = min(image.width / width, image.height / height)
        # Rounding may carry a side past the image's border, which Pillow refuses.
        left = max((image.width - width * scale) / 2, 0.0)
        top = max((image.height - height * scale) / 2, 0.0)
        right = min(left + width * scale, image.width)
        bottom = min(top + height * scale, image.height)
        box = (left, top, right, bottom)
    pixels = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    return Prepared(np.array(pixels), box, image.size)
