"""Where crops lie: pure geometry in original-image pixels. A box is (x0, y0, x1, y1)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paka.config import Range, ViewsConfig

Boxes = NDArray[np.float64]
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


def area(boxes: Boxes) -> Boxes:
    """Area of boxes (..., 4); an inverted box has none."""
    sides = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None)
    return np.asarray(sides.prod(-1))


def intersection(one: Boxes, other: Boxes) -> Boxes:
    """The part that boxes (..., 4) share; inverted where they share none."""
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., 2:], other[..., 2:])
    return np.concatenate([low, high], axis=-1)


def containment(inner: Boxes, outer: Boxes) -> Boxes:
    """Share of `inner`'s area that lies inside `outer`, in [0, 1]."""
    return np.asarray(area(intersection(inner, outer)) / area(inner))


def sample_box(rng: np.random.Generator, frame: Boxes, size: float, aspect: Range) -> Boxes:
    """Draw a box of `size` square pixels in `frame`, its aspect ratio log-uniform.

    Where the frame is too narrow for the shape, the box takes the frame's full side.
    """
    width, height = frame[2] - frame[0], frame[3] - frame[1]
    ratio = np.exp(rng.uniform(np.log(aspect[0]), np.log(aspect[1])))
    w = min(np.sqrt(size * ratio), width)
    h = min(size / w, height)
    w = min(size / h, width)
    x = frame[0] + rng.random() * (width - w)
    y = frame[1] + rng.random() * (height - h)
    return np.array([x, y, min(x + w, frame[2]), min(y + h, frame[3])])


def sample_crops(rng: np.random.Generator, width: int, height: int, views: ViewsConfig) -> Crops:
    """Draw all crops of an image of width x height pixels.

    Global-local intersection maximization (PaKA): a student crop is drawn over the whole image
    until at least `views.containment` of it lies inside its teacher crop; if chance does not find
    one soon, it is drawn inside the teacher crop. A box IoU could never reach 0.9 between a small
    and a large box, so it is the contained share that counts.
    """
    frame = np.array([0.0, 0.0, width, height])
    pixels = width * height

    def draw(within: Boxes, scale: Range) -> Boxes:
        return sample_box(rng, within, pixels * rng.uniform(*scale), views.aspect)

    def draw_local(parent: Boxes) -> Boxes:
        for _ in range(_TRIES):
            box = draw(frame, views.local_scale)
            if containment(box, parent) >= views.containment:
                return box
        return draw(parent, views.local_scale)

    outer = np.stack([draw(frame, views.global_scale) for _ in range(views.global_crops)])
    parents = np.arange(views.local_crops) % views.global_crops
    inner = np.stack([draw_local(parent) for parent in outer[parents]])
    return Crops(
        outer,
        inner,
        rng.random(len(outer)) < views.flip,
        rng.random(len(inner)) < views.flip,
        parents,
    )
