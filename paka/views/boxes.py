"""Where crops lie: pure geometry in original-image pixels. A box is (x0, y0, x1, y1).

Crops begin and end between two pixels, so that cutting them out needs no interpolation. One box is
a tuple: NumPy takes longer for four numbers than for forty thousand.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paka.config import Range, ViewsConfig

Box = tuple[int, int, int, int]
Boxes = NDArray[np.int64]
_TRIES = 50


class Crops(NamedTuple):
    """The crops of one image: G teacher crops and L student crops.

    `global_boxes` (G, 4), `local_boxes` (L, 4); `global_flips` (G,), `local_flips` (L,) bool;
    `parents` (L,): the teacher crop with which each student crop is compared.
    """

    global_boxes: Boxes
    local_boxes: Boxes
    global_flips: NDArray[np.bool_]
    local_flips: NDArray[np.bool_]
    parents: NDArray[np.int64]


def containment(inner: Box, outer: Box) -> float:
    """Share of `inner`'s area that lies inside `outer`, in [0, 1]."""
    width = min(inner[2], outer[2]) - max(inner[0], outer[0])
    height = min(inner[3], outer[3]) - max(inner[1], outer[1])
    return max(width, 0) * max(height, 0) / area(inner)


def area(box: Box) -> int:
    """Area of a box in square pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def sample_box(rng: np.random.Generator, frame: Box, size: float, aspect: Range) -> Box:
    """Draw a box of about `size` square pixels in `frame`, its aspect ratio log-uniform.

    Where the frame is too narrow for the shape, the box takes the frame's full side.
    """
    width, height = frame[2] - frame[0], frame[3] - frame[1]
    ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
    side = min(math.sqrt(size * ratio), width)
    h = max(round(min(size / side, height)), 1)
    w = max(round(min(size / h, width)), 1)
    x = frame[0] + round(rng.random() * (width - w))
    y = frame[1] + round(rng.random() * (height - h))
    return x, y, x + w, y + h


def least_side(width: int, height: int, scale: Range, aspect: Range) -> float:
    """The shortest side, in pixels, that a crop of an image of width x height can have."""
    narrowest = min(aspect[0], 1 / aspect[1])
    return min(math.sqrt(width * height * scale[0] * narrowest), width, height)


def sample_crops(rng: np.random.Generator, width: int, height: int, views: ViewsConfig) -> Crops:
    """Draw all crops of an image of width x height pixels.

    Global-local intersection maximization (PaKA): a student crop is drawn over the whole image
    until at least `views.containment` of it lies inside its teacher crop; if chance does not find
    one soon, it is drawn inside the teacher crop. A box IoU could never reach 0.9 between a small
    and a large box, so it is the contained share that counts.
    """
    frame = (0, 0, width, height)
    pixels = width * height

    def draw(within: Box, scale: Range) -> Box:
        return sample_box(rng, within, pixels * rng.uniform(*scale), views.aspect)

    def draw_local(parent: Box) -> Box:
        for _ in range(_TRIES):
            box = draw(frame, views.local_scale)
            if containment(box, parent) >= views.containment:
                return box
        return draw(parent, views.local_scale)

    outer = [draw(frame, views.global_scale) for _ in range(views.global_crops)]
    parents = np.arange(views.local_crops) % views.global_crops
    inner = [draw_local(outer[parent]) for parent in parents]
    return Crops(
        np.array(outer),
        np.array(inner),
        rng.random(len(outer)) < views.flip,
        rng.random(len(inner)) < views.flip,
        parents,
    )
