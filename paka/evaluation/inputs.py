"""What protocols work on: features, image features and masks of a split, made once and kept."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from paka.data.decode import decode
from paka.data.preprocess import prepare
from paka.encoder import DenseEncoder
from paka.errors import EncoderError
from paka.evaluation.cache import Arrays, collect
from paka.evaluation.datasets import Split, fingerprint
from paka.features import extract
from paka.options import FeatureOptions
from paka.weights import weights_sha256

Progress = Callable[[int, int], None]


class SplitInputs(NamedTuple):
    """A split as a protocol sees it.

    `patch_tokens` float16 (n, h, w, D), `image_features` float32 (n, D), `masks` uint8
    (n, size, size) with 255 = ignore. With a cache they are mapped from files.
    """

    patch_tokens: np.ndarray
    image_features: np.ndarray
    masks: np.ndarray


def split_inputs(
    encoder: DenseEncoder,
    split: Split,
    size: int,
    *,
    device: torch.device | str = "cpu",
    batch: int = 32,
    workers: int = 0,
    cache: Path | None = None,
    key: str = "",
    progress: Progress = lambda done, total: None,
) -> SplitInputs:
    """Return features and masks of a split's images, all brought to size x size pixels.

    All of an image is taken, whatever its shape, as Hummingbird does (Balažević et al., "Towards
    In-Context Scene Understanding", 2023): images by bicubic resampling, masks by the nearest.

    Args:
        encoder: in eval mode; it is moved to `device`.
        batch: images that the encoder sees at once.
        workers: processes that decode; 0: this one.
        cache: a folder for what is made, by any encoders, splits and sizes; a call that was
            interrupted goes on where it was. It may be deleted whenever no call is under way.
        key: whatever the features depend on beside the encoder's weights, the files and the size.
        progress: called with (files done, files in all); an image and its mask are two. An error
            that it raises leaves with all that is done kept.

    Raises:
        DataError: an image or mask that cannot be read, or that do not belong together.
        EncoderError: a size that the encoder cannot take, or features that are not finite.
    """
    try:
        encoder.architecture.check_size(size, size)
    except ValueError as error:
        raise EncoderError(str(error)) from None
    images, total = len(split), 2 * len(split)
    masks = collect(
        partial(_masks, split, size, workers),
        images,
        _folder(cache, "masks", *_files(split), split.lookup.tobytes().hex(), size),
        lambda done: progress(done, total),
    )
    encoder.to(device)
    features = collect(
        partial(_features, encoder, split.images, size, batch, workers),
        images,
        _folder(cache, "features", *_encoder(encoder), _files(split)[0], size, key),
        lambda done: progress(images + done, total),
    )
    return SplitInputs(**features, **masks)


def _folder(cache: Path | None, kind: str, *depends_on: object) -> Path | None:
    if cache is None:
        return None
    digest = hashlib.sha256("\0".join(map(str, depends_on)).encode()).hexdigest()
    return cache / f"{kind}-{digest[:32]}"


def _files(split: Split) -> tuple[str, str]:
    return fingerprint(split.images), fingerprint(split.masks)


def _encoder(encoder: DenseEncoder) -> tuple[str, str, str]:
    # A GPU computes in bfloat16, so its features are others.
    device = encoder.mean.device.type
    return encoder.architecture.name, weights_sha256(encoder.vit), device


def _masks(split: Split, size: int, workers: int, start: int) -> Iterator[Arrays]:
    read = partial(_read_mask, split, size)
    for masks in _load(read, range(start, len(split)), 64, workers):
        yield {"masks": masks}


def _features(
    encoder: DenseEncoder, images: Sequence[Path], size: int, batch: int, workers: int, start: int
) -> Iterator[Arrays]:
    options = FeatureOptions(size=size, resize="stretch", dtype="float32")
    read = partial(_read_image, images, size)
    for pixels in _load(read, range(start, len(images)), batch, workers):
        found = extract(encoder, pixels, options)
        patch_tokens = found.patch_tokens.half()
        if not (patch_tokens.isfinite().all() and found.image_features.isfinite().all()):
            raise EncoderError(
                f"{encoder.architecture.name} gives features that are not finite; its weights are "
                "damaged, or training has diverged"
            )
        yield {
            "patch_tokens": patch_tokens.numpy(),
            "image_features": found.image_features.numpy(),
        }


def _read_mask(split: Split, size: int, index: int) -> np.ndarray:
    mask = Image.fromarray(split.read_mask(index))
    return np.array(mask.resize((size, size), Image.Resampling.NEAREST))


def _read_image(images: Sequence[Path], size: int, index: int) -> np.ndarray:
    return prepare(decode(images[index]), size, size, "stretch").pixels


class _Each(Dataset[np.ndarray]):
    """Something read for each of some indices, in loading processes."""

    def __init__(self, read: Callable[[int], np.ndarray], indices: Sequence[int]) -> None:
        self.read, self.indices = read, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> np.ndarray:
        return self.read(self.indices[position])


def _load(
    read: Callable[[int], np.ndarray], indices: Sequence[int], batch: int, workers: int
) -> Iterator[np.ndarray]:
    """What is read, a batch at a time."""
    for items in DataLoader(_Each(read, indices), batch, num_workers=workers):
        yield items.numpy()
