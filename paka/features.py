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

from paka.data.folder import list_images
from paka.data.preprocess import Prepared, prepare
from paka.data.unreadable import Unreadable, read_image
from paka.encoder import DenseEncoder
from paka.errors import DataError
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


class _Batch(NamedTuple):
    """Images of one forward pass, and those that cannot be read, of which it has no rows."""

    pixels: Tensor  # uint8 (B, H, W, 3)
    boxes: Tensor  # float32 (B, 4)
    original_sizes: Tensor  # int32 (B, 2) as (width, height)
    unreadable: list[Unreadable]


class _PreparedImages(Dataset[Prepared | Unreadable]):
    """Images of a folder, decoded and prepared in loading processes."""

    def __init__(
        self, paths: Sequence[Path], folder: Path, size: tuple[int, int], options: FeatureOptions
    ) -> None:
        self.paths, self.folder, self.size, self.options = paths, folder, size, options

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Prepared | Unreadable:
        image = read_image(self.paths[index], self.folder)
        if isinstance(image, Unreadable):
            return image
        return prepare(image, *self.size, self.options.resize)


def _collate(items: list[Prepared | Unreadable]) -> _Batch:
    prepared = [item for item in items if isinstance(item, Prepared)]
    return _Batch(
        torch.from_numpy(np.array([item.pixels for item in prepared])),
        torch.tensor([item.box for item in prepared]),
        torch.tensor([item.original_size for item in prepared], dtype=torch.int32),
        [item for item in items if isinstance(item, Unreadable)],
    )


def refuse(unreadable: list[Unreadable]) -> None:
    """Raise DataError if there is an image that cannot be read."""
    for image, reason in unreadable:
        raise DataError(f"{image} {reason}")


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
    batches = []
    for batch, unreadable in _batches(encoder, paths, Path(), options, batch_size, workers=0):
        refuse(unreadable)
        batches.append(batch)
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
    skip: Callable[[list[Unreadable]], None] = refuse,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Write the features of all images of a folder as safetensors shards with an index.

    A shard `features-00000.safetensors` holds `patch_tokens` (n, h, w, D), `image_features`
    (n, D), `boxes` (n, 4) and `original_sizes` (n, 2) as (width, height). `index.json`, written
    last, names the images of each shard and those that were skipped, and says how the features
    were made. Shards that are there already, made in the same way, are not made again.

    Args:
        reference: the name by which the index calls the encoder.
        skip: called with images that cannot be read, which are then in no shard; by default, or
            where it raises, they are an error.
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
    shards, skipped, done = [], list[Unreadable](), 0
    for number, start in enumerate(range(0, len(paths), shard_images)):
        part = paths[start : start + shard_images]
        names = [str(path.relative_to(folder)) for path in part]
        shard = output / f"features-{number:05d}.safetensors"
        unreadable = _held(shard, how, names)
        if unreadable is None:
            batches, unreadable = [], list[Unreadable]()
            for batch, found in _batches(encoder, part, folder, options, batch_size, workers):
                batches += [batch] if batch else []
                unreadable += found
                skip(found)
                progress(done + sum(len(b["boxes"]) for b in batches) + len(unreadable), len(paths))
                if stop():
                    return False
            _write(shard, how, _without(names, unreadable), unreadable, batches)
        else:
            skip(unreadable)
        done += len(part)
        progress(done, len(paths))
        skipped += unreadable
        if left := _without(names, unreadable):
            shards.append({"file": shard.name, "images": left})
    about = {"images": len(paths) - len(skipped), "skipped": [one._asdict() for one in skipped]}
    write_json(output / "index.json", {**json.loads(how), **about, "shards": shards})
    return True


def _batches(
    encoder: DenseEncoder,
    paths: Sequence[Path],
    folder: Path,
    options: FeatureOptions,
    batch_size: int,
    workers: int,
) -> Iterator[tuple[dict[str, Tensor], list[Unreadable]]]:
    """The tensors of a shard, a batch at a time (none if no image of it can be read)."""
    size = options.input_size(encoder.architecture)
    images = _PreparedImages(paths, folder, size, options)
    for batch in DataLoader(images, batch_size, num_workers=workers, collate_fn=_collate):
        if not len(batch.pixels):
            yield {}, batch.unreadable
            continue
        features = extract(encoder, batch.pixels.numpy(), options)._asdict()
        where = {"boxes": batch.boxes, "original_sizes": batch.original_sizes}
        yield {**features, **where}, batch.unreadable


def _join(batches: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}


def _without(names: list[str], unreadable: list[Unreadable]) -> list[str]:
    gone = {one.image for one in unreadable}
    return [name for name in names if name not in gone]


def _write(
    shard: Path,
    how: str,
    names: list[str],
    unreadable: list[Unreadable],
    batches: list[dict[str, Tensor]],
) -> None:
    """Write a shard, unless none of its images can be read."""
    if not batches:
        return
    metadata = {"paka": how, "images": json.dumps(names), "skipped": json.dumps(unreadable)}
    with replacing(shard) as aside:
        save_file(_join(batches), aside, metadata)


def _held(shard: Path, how: str, names: list[str]) -> list[Unreadable] | None:
    """The images left out of a shard that was made of the same ones in the same way, if it is."""
    if not shard.exists():
        return None
    with safe_open(shard, "pt") as file:
        metadata = file.metadata()
    unreadable = [Unreadable(*one) for one in json.loads(metadata.get("skipped", "[]"))]
    same = json.loads(metadata["images"]) == _without(names, unreadable)
    return unreadable if same and metadata["paka"] == how else None
