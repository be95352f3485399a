"""From an image to the views of a training step: decode once, crop, and say where.

All of it is uint8, in loading processes. Photographs much larger than the crops need are decoded at
a fraction of their size.
"""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset

from paka.config import TrainConfig
from paka.data.decode import Reduced
from paka.data.sampling import locate
from paka.data.source import ImageSource
from paka.data.unreadable import Unreadable, read_reduced
from paka.views.boxes import Boxes, least_side, sample_crops
from paka.views.photometric import PARAMETERS, sample_photometric

_SPARE = 1.35
"""How many pixels of a reduced image there are at least for each of a crop's side.

Less would show: from here on, reducing changes a crop no more than bilinear instead of bicubic
resampling does (41 dB).
"""


class ViewBatch(NamedTuple):
    """The views of B images: G teacher crops and L student crops of each.

    Boxes are (x0, y0, x1, y1) in original-image pixels. A crop whose flip is True is mirrored left
    to right. Student crops are disturbed in colour on the device, by `photometric`; teacher crops
    are not (augmentation-free teacher, PaKA), but for `views.teacher_photometric`.
    """

    global_images: Tensor  # uint8 (B, G, 3, S, S)
    local_images: Tensor  # uint8 (B, L, 3, s, s)
    global_boxes: Tensor  # float32 (B, G, 4)
    local_boxes: Tensor  # float32 (B, L, 4)
    global_flips: Tensor  # bool (B, G)
    local_flips: Tensor  # bool (B, L)
    parents: Tensor  # int64 (B, L): the teacher crop that a student crop is compared with
    photometric: Tensor  # float32 (B, L, 6)
    teacher_photometric: Tensor  # float32 (B, G, 6); (B, 0, 6) for plain teacher crops

    def to(self, device: torch.device) -> "ViewBatch":
        """The same on another device; from pinned memory the copy overlaps with computing."""
        return ViewBatch(*(tensor.to(device, non_blocking=True) for tensor in self))


class Loaded(NamedTuple):
    """Views, and the images that could not be read on the way to them.

    If those are more than the run allows, the views may be of nothing.
    """

    views: ViewBatch
    unreadable: list[Unreadable]


class ViewsDataset(Dataset[Loaded]):
    """The views of a run, by position in its stream of images.

    All that is random of one image is drawn from (seed, epoch, index): the same views whatever the
    number of loading processes, and after a resume. So is what takes the place of an image that
    cannot be read: the next one in the stream that can.
    """

    def __init__(self, images: ImageSource, config: TrainConfig) -> None:
        self.images, self.config = images, config

    def __getitem__(self, position: int) -> Loaded:
        """Return the views of one image, without a batch axis."""
        found, unreadable = self._read(position)
        return Loaded(self._views(found, position), unreadable)

    def _read(self, position: int) -> tuple[Reduced, list[Unreadable]]:
        """The first image from a position on that can be read, and those before it."""
        seed, count = self.config.runtime.seed, len(self.images)
        unreadable: dict[int, Unreadable] = {}
        while len(unreadable) <= self.config.runtime.max_unreadable * count:
            _, index = locate(position, seed, count)
            if index not in unreadable:
                found = read_reduced(self.images, index, self._most_reduced)
                if isinstance(found, Reduced):
                    return found, list(unreadable.values())
                unreadable[index] = found
            position += 1
            if len(unreadable) == count:
                break
        return Reduced(Image.new("RGB", (8, 8)), 1), list(unreadable.values())

    def _most_reduced(self, width: int, height: int) -> int:
        """By what an image's sides may be divided so that every crop has pixels enough."""
        views = self.config.views
        shares = (
            least_side(width, height, scale, views.aspect) / size
            for scale, size in (
                (views.global_scale, views.global_size),
                (views.local_scale, self.config.local_size),
            )
        )
        return int(min(shares) / _SPARE)

    def _views(self, found: Reduced, position: int) -> ViewBatch:
        seed, views = self.config.runtime.seed, self.config.views
        epoch, index = locate(position, seed, len(self.images))
        rng = np.random.default_rng((seed, epoch, index))
        crops = sample_crops(rng, *found.image.size, views)
        photometric = [sample_photometric(rng, views) for _ in crops.local_boxes]
        # Last, so that the student's views are the same with it and without.
        disturbed = crops.global_boxes if views.teacher_photometric else crops.global_boxes[:0]
        teacher_photometric = [sample_photometric(rng, views) for _ in disturbed]
        pixels = torch.from_numpy(np.array(found.image)).permute(2, 0, 1)
        return ViewBatch(
            _cut(pixels, crops.global_boxes, crops.global_flips, views.global_size),
            _cut(pixels, crops.local_boxes, crops.local_flips, self.config.local_size),
            torch.from_numpy(crops.global_boxes).float() * found.factor,
            torch.from_numpy(crops.local_boxes).float() * found.factor,
            torch.from_numpy(crops.global_flips),
            torch.from_numpy(crops.local_flips),
            torch.from_numpy(crops.parents),
            torch.from_numpy(np.stack(photometric)),
            torch.from_numpy(np.reshape(teacher_photometric, (-1, PARAMETERS)).astype(np.float32)),
        )


def collate(items: list[Loaded]) -> Loaded:
    """Stack the views of single images."""
    every = zip(*(item.views for item in items), strict=True)
    views = ViewBatch(*(torch.stack(tensors) for tensors in every))
    return Loaded(views, [one for item in items for one in item.unreadable])


def _cut(pixels: Tensor, boxes: Boxes, flips: np.ndarray, size: int) -> Tensor:
    """Crop (3, H, W), resize with antialiasing, and mirror: uint8 (K, 3, size, size).

    torch resizes uint8 pixels of three channels beside each other with vector instructions, in a
    third of the time that Pillow takes.
    """
    crops = torch.empty(len(boxes), 3, size, size, dtype=torch.uint8)
    for crop, box, flip in zip(crops, boxes.tolist(), flips.tolist(), strict=True):
        left, top, right, bottom = box
        part = pixels[None, :, top:bottom, left:right]
        resized = interpolate(part, (size, size), mode="bicubic", antialias=True)[0]
        crop.copy_(resized.flip(2) if flip else resized)
    return crops
