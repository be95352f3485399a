"""`paka embed`: dense features of images into files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paka.cli.errors import shown_errors

if TYPE_CHECKING:
    from paka.config import EncoderConfig
    from paka.options import FeatureOptions


def embed(
    images: Annotated[list[Path], typer.Argument(help="Images, or one folder of images.")],
    encoder: Annotated[str, typer.Option(help="name, name@random, name@file, or a run's folder.")],
    output: Annotated[
        Path, typer.Option(help="A .safetensors or .npy file; for a folder of images, a folder.")
    ],
    size: Annotated[str | None, typer.Option(help="Input side in pixels, or height,width.")] = None,
    resize: Annotated[str, typer.Option(help="crop (largest centred part) or stretch.")] = "crop",
    layers: Annotated[str | None, typer.Option(help="Blocks to join, such as -1,-4.")] = None,
    dtype: Annotated[str, typer.Option(help="float16 or float32.")] = "float16",
    normalize: Annotated[bool, typer.Option(help="Scale every vector to length one.")] = False,
    pooling: Annotated[str, typer.Option(help="Image features: native, cls or mean.")] = "native",
    batch_size: Annotated[int, typer.Option(min=1, help="Images in one forward pass.")] = 32,
) -> None:
    """Write one vector per patch, and where each patch lies.

    Examples:

      paka embed cat.jpg --encoder runs/mine --size 448 --output cat.safetensors

      paka embed photos --encoder vit_small_patch14_dinov2@w.safetensors --output features
    """
    with shown_errors():
        from paka.cli.reference import read_reference
        from paka.options import FeatureOptions

        values: dict[str, Any] = {
            "resize": resize,
            "dtype": dtype,
            "normalize": normalize,
            "pooling": pooling,
        }
        if size:
            sides = [int(side) if side.isdigit() else side for side in size.split(",")]
            values["size"] = sides[0] if len(sides) == 1 else sides
        if layers:
            values["layers"] = layers.split(",")
        options = FeatureOptions.model_validate(values)
        config = read_reference(encoder)
        _check_size(options, config)
        if len(images) == 1 and images[0].is_dir():
            _embed_folder(images[0], config, encoder, options, output, batch_size)
        else:
            _embed_files(images, config, encoder, options, output, batch_size)


def _check_size(options: "FeatureOptions", config: "EncoderConfig") -> None:
    from paka.errors import ConfigError

    try:
        options.input_size(config.facts)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _embed_folder(
    folder: Path,
    config: "EncoderConfig",
    reference: str,
    options: "FeatureOptions",
    output: Path,
    batch_size: int,
) -> None:
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from paka.cli.reference import load
    from paka.features import extract_folder

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("images", total=None)

        def show(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        encoder = load(config)
        extract_folder(
            encoder, folder, options, output, reference, batch_size=batch_size, progress=show
        )
    typer.echo(f"features and their index: {output / 'index.json'}")


def _embed_files(
    images: list[Path],
    config: "EncoderConfig",
    reference: str,
    options: "FeatureOptions",
    output: Path,
    batch_size: int,
) -> None:
    from paka.cli.reference import load
    from paka.errors import ConfigError
    from paka.features import extract_images
    from paka.files import replacing

    if output.suffix not in (".safetensors", ".npy"):
        raise ConfigError(f"--output {output} must end in .safetensors or .npy")
    tensors, metadata = extract_images(load(config), images, options, reference, batch_size)
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as aside:
        if output.suffix == ".npy":
            import numpy as np

            with aside.open("wb") as file:
                np.save(file, tensors["patch_tokens"].numpy())
        else:
            from safetensors.torch import save_file

            save_file(tensors, aside, metadata)
    typer.echo(f"{output}: patch_tokens {tuple(tensors['patch_tokens'].shape)}")
