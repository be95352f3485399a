"""`paka embed`: dense features of a few images into a file, of a data set into shards."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paka import choices
from paka.cli.completion import complete_architecture
from paka.cli.errors import STOPPED, reporting_errors
from paka.cli.options import Dtype, FeatureFormat, Layers, Normalize, Pooling, Resize, Size

if TYPE_CHECKING:
    from paka.config import EncoderConfig
    from paka.encoder import DenseEncoder
    from paka.options import FeatureOptions

_FORMATS = (".safetensors", ".npy")


def embed(
    images: Annotated[
        list[Path],
        typer.Argument(help="Image files, or one data set: a folder, .tar or .zip of images."),
    ],
    encoder: Annotated[
        str,
        typer.Option(
            help="name, name@weights or the folder of a run.",
            show_default=False,
            autocompletion=complete_architecture,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            help="For image files a .safetensors or .npy (patch tokens alone); for a data set, a "
            "folder.",
            show_default=False,
        ),
    ],
    size: Size = None,
    resize: Resize = "crop",
    layers: Layers = None,
    dtype: Dtype = "float16",
    normalize: Normalize = False,
    pooling: Pooling = "native",
    batch_size: Annotated[int, typer.Option(help="Images at once.", min=1)] = 32,
    workers: Annotated[int, typer.Option(help="Image loading processes (data set).", min=0)] = 2,
    form: FeatureFormat = "safetensors",
) -> None:
    """Extract dense features, one vector per patch.

    \b
    paka embed cat.jpg dog.jpg --encoder runs/my-run --output pets.safetensors
    paka embed photos --encoder vit_small_patch14_reg4_dinov2.lvd142m --size 518 --output features
    paka embed shards.tar --format zarr --encoder runs/my-run --output features

    A data set becomes shards of features and an index.json, for paka.FeatureReader. Stopped by
    Ctrl-C, it goes on where it was when the same command is given again. Exit codes: 0 done, 1
    failed, 2 options that cannot work, 3 stopped.
    """
    with reporting_errors():
        from paka.cli.reference import load, read_reference

        options = parse_options(
            size=size,
            layers=layers,
            resize=resize,
            dtype=dtype,
            normalize=normalize,
            pooling=pooling,
        )
        config = read_reference(encoder)
        check_fit(options, config)
        check_paths(images, output)
        model, reference = load(config), config.reference
        if is_dataset(images[0]):
            embed_dataset(model, images[0], options, output, reference, form, batch_size, workers)
        else:
            embed_images(model, images, options, output, reference, batch_size)
        typer.echo(f"written to {output}")


def parse_options(size: str | None, layers: str | None, **others: Any) -> "FeatureOptions":
    """The options as checked settings.

    Raises:
        ConfigError: listing all that cannot be used.
    """
    from pydantic import ValidationError

    from paka.cli.errors import describe
    from paka.errors import ConfigError
    from paka.options import FeatureOptions

    if size is not None:
        sides = _integers("--size", size, "x")
        others["size"] = sides[0] if len(sides) == 1 else sides
    if layers is not None:
        others["layers"] = _integers("--layers", layers, ",")
    try:
        return FeatureOptions.model_validate(others)
    except ValidationError as error:
        raise ConfigError(describe(error, prefix="--")) from None


def is_dataset(path: Path) -> bool:
    """Whether it is a folder or an archive, and no image."""
    from paka.data.images import is_archive

    return path.is_dir() or is_archive(path)


def check_fit(options: "FeatureOptions", encoder: "EncoderConfig") -> None:
    """Raise ConfigError if the encoder cannot take the size, or has not the layers."""
    from paka.errors import ConfigError

    try:
        options.input_size(encoder.facts)
    except ValueError as error:
        raise ConfigError(f"--{error}") from None  # its messages begin with the option's name


def check_paths(images: Sequence[Path], output: Path) -> None:
    """Raise ConfigError unless it is image files into a file or one data set into a folder."""
    from paka.errors import ConfigError

    missing = [str(path) for path in images if not path.exists()]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not there; give image files or one data set")
    datasets = sum(map(is_dataset, images))
    if datasets and len(images) > 1:
        raise ConfigError("give either image files or one data set, not both or several")
    if not datasets and output.suffix not in _FORMATS:
        raise ConfigError(f"--output {output} must end in {' or '.join(_FORMATS)}")
    if datasets and (output.suffix in _FORMATS or output.is_file()):
        raise ConfigError(f"--output {output} must be a folder, as the features of a data set are")


def embed_images(
    encoder: "DenseEncoder",
    images: Sequence[Path],
    options: "FeatureOptions",
    output: Path,
    reference: str,
    batch_size: int,
) -> None:
    """Write one file, in which the order is that of the images.

    Raises:
        DataError: an image that cannot be decoded.
    """
    import numpy as np
    from safetensors.torch import save_file

    from paka.features import extract_images
    from paka.files import replacing, share

    tensors, metadata = extract_images(encoder, images, options, reference, batch_size)
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as aside:
        if output.suffix == ".npy":
            with aside.open("wb") as file:
                np.save(file, tensors["patch_tokens"].numpy())
        else:
            save_file(tensors, aside, metadata)
            share(aside)


def embed_dataset(
    encoder: "DenseEncoder",
    dataset: Path,
    options: "FeatureOptions",
    output: Path,
    reference: str,
    form: choices.FeatureFormat,
    batch_size: int,
    workers: int,
) -> None:
    """Write a data set's features in shards; leaves with an exit code if stopped."""
    from paka.cli.progress import display
    from paka.data.images import open_images
    from paka.features import extract_dataset
    from paka.process import StopFlag

    stop = StopFlag().install()
    with display("images") as view:
        done = extract_dataset(
            encoder,
            open_images(dataset),
            options,
            output,
            reference,
            form=form,
            batch_size=batch_size,
            workers=workers,
            progress=view.update,
            stop=lambda: bool(stop),
        )
    if not done:
        typer.echo("stopped; the same command goes on from the last finished shard")
        raise typer.Exit(STOPPED)


def _integers(option: str, text: str, separator: str) -> list[int]:
    from paka.errors import ConfigError

    try:
        return [int(part) for part in text.split(separator)]
    except ValueError:
        raise ConfigError(
            f"{option} {text!r} must be one or more whole numbers with {separator!r} between them"
        ) from None
