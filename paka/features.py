"""Dense features of images: of one batch, and of a whole folder into files."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Dataset

from paka.data.decode import decode
from paka.data.folder import list_images
from paka.data.preprocess import prepare
from paka.encoder import DenseEncoder
from paka.files import replacing, write_json
from paka.options import FeatureOptions, geometry
from paka.weights import weights_sha256


class Features(NamedTuple):
    """`patch_tokens` (B, h, w, D) and `image_features` (B, D), on the CPU, in the asked format."""

    patch_tokens: Tensor
    image_features: Tensor


@torch.inference_mode()
def extract(encoder: DenseEncoder, pixels: np.ndarray, options: FeatureOptions) -> Features:
    """Return the features of prepared images.

    Args:
        encoder: in eval mode, on any device.
        pixels: uint8 (B, H, W, 3), as `paka.data.preprocess.prepare` gives them.

    Raises:
        EncoderError: a size, layer or pooling that the architecture does not have.
    """
    device = encoder.mean.device
    images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
    on_gpu = device.type == "cuda"
    with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
        found = encoder(encoder.normalise(images), options.layers, options.pooling)
    dtype = getattr(torch, options.dtype)
    both = (normalize(f.float(), dim=-1) if options.normalize else f for f in found)
    return Features(*(f.to(dtype).cpu().contiguous() for f in both))


class _Prepared(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Images of a folder, decoded and prepared in loading processes."""

    def __init__(
        self, paths: Sequence[Path], size: tuple[int, int], options: FeatureOptions
    ) -> None:
        self.paths, self.size, self.options = paths, size, options

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        prepared = prepare(decode(self.paths[index]), *self.size, self.options.resize)
        return (
            torch.from_numpy(prepared.pixels),
            torch.tensor(prepared.box),
            torch.tensor(prepared.original_size, dtype=torch.int32),
        )


def extract_images(
    encoder: DenseEncoder,
    paths: Sequence[Path],
    options: FeatureOptions,
    reference: str,
    batch_size: int = 32,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a features file for a few images.

    `patch_tokens` (n, h, w, D), `image_features` (n, D), `boxes` (n, 4) and `original_sizes`
    (n, 2) as (width, height); metadata `paka` (how they were made) and `images`, as JSON.

    Raises:
        DataError: an image that cannot be decoded.
        ValueError: a size that the encoder cannot take.
    """
    batches = list(_batches(encoder, paths, options, batch_size, workers=0))
    how = geometry(encoder.architecture, options, reference, weights_sha256(encoder.vit))
    names = json.dumps([str(path) for path in paths])
    return _join(batches), {"paka": json.dumps(how), "images": names}


def extract_folder(
    encoder: DenseEncoder,
    folder: Path,
    options: FeatureOptions,
    output: Path,
    reference: str,
    *,
    batch_size: int = 32,
    workers: int = 2,
    shard_images: int = 512,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Write the features of all images of a folder as safetensors shards with an index.

    A shard `features-00000.safetensors` holds `patch_tokens` (n, h, w, D), `image_features`
    (n, D), `boxes` (n, 4) and `original_sizes` (n, 2) as (width, height). `index.json`, written
    last, names the images of each shard and says how the features were made. Shards that are
    there already, made in the same way, are not made again.

    Args:
        reference: the name by which the index calls the encoder.
        progress: called with (images done, images in all) after each batch.
        stop: asked after each batch; True leaves, with whole shards kept.

    Returns:
        True if all is done, False if stopped.

    Raises:
        DataError: no such folder, no image in it, or one that cannot be decoded.
        ValueError: a size that the encoder cannot take.
    """
    paths = list_images(folder)
    sha256 = weights_sha256(encoder.vit)
    how = json.dumps(geometry(encoder.architecture, options, reference, sha256))
    output.mkdir(parents=True, exist_ok=True)
    shards, done = [], 0
    for number, start in enumerate(range(0, len(paths), shard_images)):
        part = paths[start : start + shard_images]
        names = [str(path.relative_to(folder)) for path in part]
        metadata = {"paka": how, "images": json.dumps(names)}
        shard = output / f"features-{number:05d}.safetensors"
        if not _holds(shard, metadata):
            batches = []
            for batch in _batches(encoder, part, options, batch_size, workers):
                batches.append(batch)
                progress(done + sum(len(b["boxes"]) for b in batches), len(paths))
                if stop():
                    return False
            with replacing(shard) as aside:
                save_file(_join(batches), aside, metadata)
        done += len(part)
        progress(done, len(paths))
        shards.append({"file": shard.name, "images": names})
    write_json(output / "index.json", {**json.loads(how), "images": len(paths), "shards": shards})
    return True


def _batches(
    encoder: DenseEncoder,
    paths: Sequence[Path],
    options: FeatureOptions,
    batch_size: int,
    workers: int,
) -> Iterator[dict[str, Tensor]]:
    """The tensors of a shard, a batch at a time."""
    size = options.input_size(encoder.architecture)
    images = _Prepared(paths, size, options)
    for pixels, boxes, sizes in DataLoader(images, batch_size, num_workers=workers):
        features = extract(encoder, pixels.numpy(), options)
        yield {**features._asdict(), "boxes": boxes, "original_sizes": sizes}


def _join(batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}


def _holds(shard: Path, metadata: dict[str, str]) -> bool:
    """True if the shard is there and was made of the same images in the same way."""
    if not shard.exists():
        return False
    with safe_open(shard, "pt") as file:
        return bool(file.metadata() == metadata)
