"""From an image to the views of a training step: decode once, crop, and say where."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from paka.config import TrainConfig
from paka.data.sampling import locate
from paka.data.source import ImageSource
from paka.data.unreadable import Unreadable, read_image
from paka.views.boxes import Boxes, sample_crops
from paka.views.photometric import PARAMETERS, sample_photometric


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
        image, unreadable = self._read(position)
        return Loaded(self._views(image, position), unreadable)

    def _read(self, position: int) -> tuple[Image.Image, list[Unreadable]]:
        """The first image from a position on that can be read, and those before it."""
        seed, count = self.config.runtime.seed, len(self.images)
        unreadable: dict[int, Unreadable] = {}
        while len(unreadable) <= self.config.runtime.max_unreadable * count:
            _, index = locate(position, seed, count)
            if index not in unreadable:
                found = read_image(self.images, index)
                if isinstance(found, Image.Image):
                    return found, list(unreadable.values())
                unreadable[index] = found
            position += 1
            if len(unreadable) == count:
                break
        return Image.new("RGB", (8, 8)), list(unreadable.values())

    def _views(self, image: Image.Image, position: int) -> ViewBatch:
        seed, views = self.config.runtime.seed, self.config.views
        epoch, index = locate(position, seed, len(self.images))
        rng = np.random.default_rng((seed, epoch, index))
        crops = sample_crops(rng, *image.size, views)
        photometric = [sample_photometric(rng, views) for _ in crops.local_boxes]
        # Last, so that the student's views are the same with it and without.
        disturbed = crops.global_boxes if views.teacher_photometric else crops.global_boxes[:0]
        teacher_photometric = [sample_photometric(rng, views) for _ in disturbed]
        return ViewBatch(
            _cut(image, crops.global_boxes, crops.global_flips, views.global_size),
            _cut(image, crops.local_boxes, crops.local_flips, self.config.local_size),
            torch.from_numpy(crops.global_boxes).float(),
            torch.from_numpy(crops.local_boxes).float(),
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


def _cut(image: Image.Image, boxes: Boxes, flips: np.ndarray, size: int) -> Tensor:
    """Crop, resize and mirror: uint8 (K, 3, size, size)."""
    crops = np.empty((len(boxes), size, size, 3), dtype=np.uint8)
    for crop, box, flip in zip(crops, boxes, flips, strict=True):
        resized = image.resize((size, size), Image.Resampling.BICUBIC, box=tuple(box))
        crop[:] = np.asarray(resized)[:, ::-1] if flip else np.asarray(resized)
    return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()
