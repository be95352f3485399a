"""What features are like, without any label: cheap enough to ask at every checkpoint of a run."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from paka.align import roi_align
from paka.data.decode import decode
from paka.data.preprocess import prepare
from paka.data.source import ImageSource
from paka.encoder import DenseEncoder
from paka.errors import DataError, EncoderError
from paka.losses import PatchKernelAlignmentLoss

NEIGHBOURS = 10
_BATCH = 16
# Patches of an image, per side, at most: what a probe costs must not grow with the image size.
_SIDE, _NEIGHBOUR_SIDE = 16, 8
_VIEW_SIDE = 0.5  # side of the second view as a share of the first
_STEPS = (0.6180339887, 0.7548776662)  # of low discrepancy: second views lie all over the images


def effective_rank(features: Tensor) -> float:
    """In how many directions patches differ (Roy and Vetterli, EUSIPCO 2007).

    The exponential of the entropy of the normalised singular values of all patches, centred.

    Args:
        features: (n, N, D), N patches of n images.

    Returns:
        1 to D, D if all directions count alike; 0 where all patches are the same.
    """
    x = features.flatten(0, 1).double()
    x = x - x.mean(0)
    singular = torch.linalg.eigvalsh(x.mT @ x).clamp_min(0).sqrt()
    if singular.max() <= 1e-6 * features.abs().max():
        return 0.0
    share = singular / singular.sum()
    return torch.special.entr(share).sum().exp().item()


def linear_cka(features: Tensor, base: Tensor) -> float:
    """How alike two encoders relate the same patches (Kornblith et al., arXiv 1905.00414).

    Args:
        features: (n, N, D_1), N patches of n images.
        base: (n, N, D_2), the same patches.

    Returns:
        0 to 1, 1 where one is the other turned, shifted and scaled as a whole.
    """
    one, other = (x.flatten(0, 1)[None].double() for x in (features, base))
    return 1 - PatchKernelAlignmentLoss()(one, other).item()


def neighbour_consistency(features: Tensor, base: Tensor, k: int = NEIGHBOURS) -> float:
    """Which share of each patch's nearest neighbours is the same in both encoders.

    The neighbours of a patch are the k patches of the highest cosine among all patches of the
    other images; the share is the mean over all patches. Memory grows as (n N)^2.

    Args:
        features: (n, N, D_1), N patches of n >= 2 images.
        base: (n, N, D_2), the same patches.
        k: neighbours; fewer if there are not as many patches.

    Returns:
        0 to 1. Chance alone gives about k / ((n - 1) N).

    Raises:
        ValueError: there is only one image.
    """
    images, patches = features.shape[:2]
    if images < 2:
        raise ValueError(f"neighbours are looked for in other images, and there is {images} image")
    k = min(k, (images - 1) * patches)
    own, reference = (_nearest(x, k) for x in (features, base))
    chosen = torch.zeros(len(own), images * patches, dtype=torch.bool, device=own.device)
    return chosen.scatter_(1, own, True).gather(1, reference).float().mean().item()


def view_agreement(maps: Tensor, views: Tensor, corners: Tensor, flips: Tensor) -> float:
    """How alike patches are in two views of an image, over the part that both show.

    The mean cosine on the second view's own grid. Features that are alike everywhere agree too:
    read it beside the effective rank.

    Args:
        maps: (n, H, W, D), patches of the first view of each image.
        views: (n, h, w, D) with h = w, patches of the second view, which lies inside the first.
        corners: (n, 2, 2), the second view's top left and bottom right (x, y) in shares of the
            first.
        flips: (n,) bool, the second view is mirrored left to right.

    Returns:
        -1 to 1.
    """
    grid = views.shape[1]
    whole = torch.tensor([[0.0, 0.0], [1.0, 1.0]], device=views.device).expand_as(corners)
    first = roi_align(maps, corners, torch.zeros_like(flips), grid)
    second = roi_align(views, whole, flips, grid)
    return cosine_similarity(first, second, dim=2).mean().item()


class ProbeSample(NamedTuple):
    """Images in two views: as a whole (the largest centred square), and a quarter of that.

    `images` uint8 (n, S, S, 3); `views` uint8 (n, s, s, 3); `corners` (n, 2, 2) and `flips` (n,)
    say where the second view lies in the first, as in `view_agreement`. Nothing in it is random.
    """

    images: np.ndarray
    views: np.ndarray
    corners: Tensor
    flips: Tensor

    @classmethod
    def load(
        cls,
        source: ImageSource,
        count: int,
        size: int,
        view_size: int,
        skip_unreadable: bool = False,
    ) -> "ProbeSample":
        """Read at most `count` evenly spaced ones of the images, at these sizes in pixels.

        Args:
            skip_unreadable: do without images that cannot be decoded, if any can.

        Raises:
            DataError: an image that cannot be decoded.
        """
        chosen = _evenly(len(source), count)
        index = torch.arange(len(chosen), dtype=torch.float64)[:, None]
        low = (index * torch.tensor(_STEPS, dtype=torch.float64)).frac() * (1 - _VIEW_SIDE)
        corners, flips = torch.stack([low, low + _VIEW_SIDE], 1), index[:, 0] % 2 == 1
        images, views, read = [], [], list[int]()
        for position, (ends, flip) in enumerate(zip(corners.tolist(), flips, strict=True)):
            try:
                image = decode(source.read(chosen[position]), source.name(chosen[position]))
            except DataError:
                last = position == len(chosen) - 1
                if not skip_unreadable or (last and not read):
                    raise
                continue
            read.append(position)
            prepared = prepare(image, size, size, "crop")
            x, y, side = *prepared.box[:2], prepared.box[2] - prepared.box[0]
            place = tuple(o + side * s for end in ends for o, s in zip((x, y), end, strict=True))
            view = image.resize((view_size, view_size), Image.Resampling.BICUBIC, box=place)
            images.append(prepared.pixels)
            views.append(np.asarray(view)[:, ::-1] if flip else np.asarray(view))
        return cls(np.stack(images), np.stack(views), corners[read].float(), flips[read])


class Probe:
    """Compares encoders with a base encoder on a fixed sample of images.

    Args:
        base: the encoder to compare with, on its device, such as a run's before its first step;
            it is left as it was found.
        sample: the images.

    Raises:
        EncoderError: features that are not finite, or a size that the encoder cannot take.
    """

    def __init__(self, base: DenseEncoder, sample: ProbeSample) -> None:
        self.sample = sample
        self._base = _thin(_maps(base, sample.images), _SIDE)

    def measure(self, encoder: DenseEncoder) -> dict[str, float]:
        """Return all probes of an encoder of the base's patch size, on the base's device.

        The encoder is left as it was found, and no random number is drawn. Keys:
        `effective_rank`, `cka_to_base`, `view_agreement`, and `neighbour_consistency` (with the
        base) where there are two images or more. At most 16 x 16 evenly spaced patches of each
        image count, 8 x 8 of them for the neighbours.

        Raises:
            EncoderError: features that are not finite.
        """
        maps, views = (_maps(encoder, x) for x in (self.sample.images, self.sample.views))
        device = maps.device
        corners, flips = self.sample.corners.to(device), self.sample.flips.to(device)
        thin = _thin(maps, _SIDE)
        values = {
            "effective_rank": effective_rank(thin.flatten(1, 2)),
            "cka_to_base": linear_cka(thin.flatten(1, 2), self._base.flatten(1, 2)),
            "view_agreement": view_agreement(maps, views, corners, flips),
        }
        if len(maps) > 1:
            own, base = (_thin(x, _NEIGHBOUR_SIDE).flatten(1, 2) for x in (thin, self._base))
            values["neighbour_consistency"] = neighbour_consistency(own, base)
        return values


def _evenly(available: int, count: int) -> list[int]:
    """At most `count` of the indices below `available`, evenly spaced."""
    count = min(count, available)
    return [(2 * i + 1) * available // (2 * count) for i in range(count)]


def _thin(maps: Tensor, side: int) -> Tensor:
    """At most `side` rows and columns of maps (n, h, w, D), evenly spaced."""
    rows, columns = (_evenly(cells, side) for cells in maps.shape[1:3])
    return maps[:, rows][:, :, columns]


def _nearest(features: Tensor, k: int) -> Tensor:
    """Indices (n N, k) of each patch's nearest neighbours in other images."""
    images, patches = features.shape[:2]
    x = normalize(features.flatten(0, 1).float(), dim=1)
    image = torch.arange(images, device=x.device).repeat_interleave(patches)
    cosines = (x @ x.mT).masked_fill_(image[:, None] == image, -torch.inf)
    return cosines.topk(k, dim=1).indices


# Not inference_mode: an encoder may keep what it derives from the image size for later steps.
@torch.no_grad()
def _maps(encoder: DenseEncoder, pixels: np.ndarray) -> Tensor:
    """Patch tokens (n, h, w, D) float32 of uint8 pixels (n, H, W, 3)."""
    device, training, found = encoder.mean.device, encoder.training, []
    encoder.eval()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        for part in torch.from_numpy(pixels).split(_BATCH):
            images = encoder.normalise(part.to(device).permute(0, 3, 1, 2))
            # By its layer, which compiling leaves alone: for a few images it would take minutes.
            found.append(encoder(images, layers=[-1], pooling="mean").patch_tokens.float())
    encoder.train(training)
    maps = torch.cat(found)
    if not maps.isfinite().all():
        raise EncoderError(f"{encoder.architecture.name} gives features that are not finite")
    return maps
