"""Dense features of images: of one batch, and of a whole folder into files."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, Dataset

from paka.choices import FeatureFormat
from paka.data.folder import ImageFiles
from paka.data.preprocess import Prepared, prepare
from paka.data.source import ImageSource
from paka.data.unreadable import Unreadable, read_image
from paka.encoder import DenseEncoder
from paka.errors import DataError
from paka.files import replacing, write_json
from paka.options import FeatureOptions, geometry
from paka.shards.base import About, ShardFormat
from paka.shards.formats import FORMATS
from paka.shards.writer import Writer
from paka.side_by_side import side_by_side
from paka.weights import weights_sha256


class Features(NamedTuple):
    """`patch_tokens` (B, h, w, D) and `image_features` (B, D), on the CPU, in the asked format."""

    patch_tokens: Tensor
    image_features: Tensor


def extract(encoder: DenseEncoder, pixels: np.ndarray, options: FeatureOptions) -> Features:
    """Return the features of prepared images.

    Args:
        encoder: in eval mode, on any device.
        pixels: uint8 (B, H, W, 3), as `paka.data.preprocess.prepare` gives them.

    Raises:
        EncoderError: a size, layer or pooling that the architecture does not have.
    """
    compute = partial(_extract, encoder, options)
    if encoder.mean.device.type != "cpu":
        return compute(pixels)
    return Features(*map(torch.cat, zip(*side_by_side(compute, pixels), strict=True)))


@torch.inference_mode()
def _extract(encoder: DenseEncoder, options: FeatureOptions, pixels: np.ndarray) -> Features:
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
    """The images of a data set, decoded and prepared in loading processes."""

    def __init__(self, images: ImageSource, size: tuple[int, int], options: FeatureOptions) -> None:
        self.images, self.size, self.options = images, size, options

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Prepared | Unreadable:
        image = read_image(self.images, index)
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
    images = ImageFiles(map(str, paths))
    rows = _in_batches(range(len(paths)), batch_size)
    for batch, unreadable in _computed(encoder, images, rows, options, workers=0):
        refuse(unreadable)
        batches.append(batch)
    how = geometry(encoder.architecture, options, reference, weights_sha256(encoder.vit))
    names = json.dumps([str(path) for path in paths])
    return _join(batches), {"paka": json.dumps(how), "images": names}


def extract_dataset(
    encoder: DenseEncoder,
    images: ImageSource,
    options: FeatureOptions,
    output: Path,
    reference: str,
    *,
    form: FeatureFormat = "safetensors",
    batch_size: int = 32,
    workers: int = 2,
    shard_images: int = 512,
    skip: Callable[[list[Unreadable]], None] = refuse,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Write the features of all images of a data set as shards with an index.

    A shard, `features-00000` and its format's ending, holds `paka.shards.base.Arrays`.
    `index.json`, written last, names the images of each shard and those that were skipped, and says
    how the features were made. Shards that are there already, made in the same way, are not made
    again.

    Args:
        reference: the name by which the index calls the encoder.
        form: of the shards.
        skip: called with images that cannot be read, which are then in no shard; by default, or
            where it raises, they are an error.
        progress: called with (images done, images in all) after each batch.
        stop: asked after each batch; True leaves, with whole shards kept.

    Returns:
        True if all is done, False if stopped.

    Raises:
        DataError: an image that cannot be decoded.
        ConfigError: a package that the format takes is not installed.
        ValueError: a size that the encoder cannot take.
    """
    how = geometry(encoder.architecture, options, reference, weights_sha256(encoder.vit))
    output.mkdir(parents=True, exist_ok=True)
    parts = _parts(FORMATS[form], output, images, shard_images, how)
    # One loader for all shards: between two of them it goes on decoding.
    missing = (part.rows for part in parts if part.unreadable is None)
    rows = [batch for all_rows in missing for batch in _in_batches(all_rows, batch_size)]
    computed = _computed(encoder, images, rows, options, workers)
    shards, skipped = [], list[Unreadable]()
    with Writer() as writer:
        for part in parts:
            if (unreadable := part.unreadable) is None:
                # An earlier index speaks of shards that are replaced from here on.
                (output / "index.json").unlink(missing_ok=True)
                batches, unreadable = [], list[Unreadable]()
                for batch_rows in _in_batches(part.rows, batch_size):
                    batch, found = next(computed)
                    batches += [batch] if batch else []
                    unreadable += found
                    skip(found)
                    progress(batch_rows.stop, len(images))
                    if stop():
                        return False
                about = About(how, _without(part.names, unreadable), unreadable)
                writer.start(partial(_write, FORMATS[form], part.shard, about, batches))
            else:
                skip(unreadable)
                progress(part.rows.stop, len(images))
            skipped += unreadable
            if left := _without(part.names, unreadable):
                shards.append({"file": part.shard.name, "images": left})
    listed = {"images": len(images) - len(skipped), "skipped": [one._asdict() for one in skipped]}
    write_json(output / "index.json", {**how, **listed, "shards": shards})
    return True


class _Part(NamedTuple):
    """A shard, which images it is of, and those that were left out; None if it is to be made."""

    shard: Path
    rows: range
    names: list[str]
    unreadable: list[Unreadable] | None


def _parts(
    form: ShardFormat, output: Path, images: ImageSource, shard_images: int, how: dict[str, Any]
) -> list[_Part]:
    parts = []
    for number, rows in enumerate(_in_batches(range(len(images)), shard_images)):
        shard = output / f"features-{number:05d}{form.suffix}"
        names = [images.name(index) for index in rows]
        parts.append(_Part(shard, rows, names, _held(form, shard, how, names)))
    return parts


def _in_batches(rows: range, size: int) -> list[range]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _computed(
    encoder: DenseEncoder,
    images: ImageSource,
    rows: list[range],
    options: FeatureOptions,
    workers: int,
) -> Iterator[tuple[dict[str, Tensor], list[Unreadable]]]:
    """The tensors of each batch, given by the numbers of its images (none if none can be read)."""
    size = options.input_size(encoder.architecture)
    prepared = _PreparedImages(images, size, options)
    for batch in DataLoader(
        prepared, batch_sampler=[*map(list, rows)], num_workers=workers, collate_fn=_collate
    ):
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


def _write(form: ShardFormat, shard: Path, about: About, batches: list[dict[str, Tensor]]) -> None:
    """Write a shard, unless none of its images can be read.

    `batches` is emptied: while this shard is written, the next one comes into memory.
    """
    if not batches:
        return
    arrays = {name: tensor.numpy() for name, tensor in _join(batches).items()}
    batches.clear()
    with replacing(shard) as aside:
        form.write(aside, arrays, about)


def _held(
    form: ShardFormat, shard: Path, how: dict[str, Any], names: list[str]
) -> list[Unreadable] | None:
    """The images left out of a shard that was made of the same ones in the same way, if it is."""
    if not shard.exists():
        return None
    try:
        about = form.open(shard).about()
    except DataError:  # it is damaged
        return None
    same = about.images == _without(names, about.skipped)
    return about.skipped if same and about.how == how else None
