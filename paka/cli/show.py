"""`paka show`: pictures of patch features and of a run."""

from pathlib import Path
from typing import Annotated

import typer

from paka.cli.errors import shown_errors

show = typer.Typer(help="Draw patch features, or the course of a run.", no_args_is_help=True)


@show.command()
def features(
    images: Annotated[list[Path], typer.Argument(help="Images, one row each.")],
    encoder: Annotated[
        list[str],
        typer.Option(help="name, name@random, name@file, or a run's folder; repeatable."),
    ],
    output: Annotated[Path, typer.Option(help="The picture.")] = Path("features.png"),
    size: Annotated[int, typer.Option(help="Side of the encoder's input, about, in pixels.")] = 448,
) -> None:
    """Colour each patch by its features' main directions, several encoders side by side.

    Example:

      paka show features cat.jpg --encoder vit_tiny_patch16_224@random --encoder runs/mine
    """
    with shown_errors():
        import numpy as np

        from paka.cli.reference import load, read_reference
        from paka.data.decode import decode
        from paka.data.preprocess import prepare
        from paka.features import extract
        from paka.options import FeatureOptions
        from paka.plots import feature_picture

        photographs = [decode(path) for path in images]
        maps: list[dict[str, np.ndarray]] = [{} for _ in images]
        for reference in encoder:
            config = read_reference(reference)
            patch = config.facts.patch_size
            side = max(round(size / patch), 1) * patch
            options = FeatureOptions(size=side, resize="stretch", dtype="float32")
            loaded = load(config)
            for photograph, by_name in zip(photographs, maps, strict=True):
                pixels = prepare(photograph, side, side, "stretch").pixels[None]
                by_name[reference] = extract(loaded, pixels, options).patch_tokens[0].numpy()
        rows = [(np.asarray(p), m) for p, m in zip(photographs, maps, strict=True)]
        output.parent.mkdir(parents=True, exist_ok=True)
        feature_picture(rows).savefig(output)
        typer.echo(f"{output}")


@show.command()
def loss(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    output: Annotated[
        Path | None, typer.Option(help="The picture; <run>/loss.png by default.")
    ] = None,
) -> None:
    """Draw a run's loss, learning rate and throughput."""
    with shown_errors():
        from paka.errors import ConfigError
        from paka.plots import loss_curve
        from paka.run_folder import RunFolder

        rows = RunFolder(run).read_metrics()
        if not rows:
            raise ConfigError(f"{run} has no metrics yet; is it the folder of a run?")
        target = output or run / "loss.png"
        loss_curve(rows).savefig(target)
        typer.echo(f"{target}")
