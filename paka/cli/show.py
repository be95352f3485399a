"""`paka show`: pictures of features and of runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paka.cli.errors import MISUSED, fail, reporting_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

show = typer.Typer(help="Draw features, or the course of a run.", no_args_is_help=True)


@show.command()
def features(
    images: Annotated[list[Path], typer.Argument(help="Image files, one row of the picture each.")],
    encoder: Annotated[
        list[str],
        typer.Option(
            help="name, name@weights or the folder of a run; may be given several times.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option(help="The picture.")] = Path("features.png"),
    size: Annotated[
        int, typer.Option(help="Shorter side of the encoders' input in pixels, about.", min=32)
    ] = 448,
) -> None:
    """Draw what the patch features of images tell apart, as colours.

    Each map shows the first three principal components of one image's patches as red, green and
    blue: alike colours, alike features. With several encoders the colours of the later ones are
    turned to those of the first.

    \b
    paka show features cat.jpg --encoder vit_small_patch14_reg4_dinov2.lvd142m --encoder runs/my-run
    """
    with reporting_errors():
        import numpy as np

        from paka.cli.reference import load, read_reference
        from paka.data.decode import decode
        from paka.extras import require_method

        require_method("a picture of features")
        from paka.feature_map import feature_map
        from paka.plots import feature_picture

        configs = {reference: read_reference(reference) for reference in encoder}
        pictures = [decode(path) for path in images]
        models = {reference: load(config) for reference, config in configs.items()}
        rows = []
        for picture in pictures:
            maps = {name: feature_map(model, picture, size) for name, model in models.items()}
            rows.append((np.asarray(picture), maps))
        save(feature_picture(rows), output)


@show.command()
def loss(
    run: Annotated[Path, typer.Argument(help="Folder of a run, finished or not.")],
    output: Annotated[
        Path | None, typer.Option(help="The picture.", show_default="RUN/loss.png")
    ] = None,
) -> None:
    """Draw a run's loss, learning rates and throughput, and print what its probes say.

    \b
    paka show loss runs/my-run --output loss.png
    """
    from paka.plots import loss_curve
    from paka.run_folder import RunFolder

    folder = RunFolder(run)
    if not folder.config.exists():
        fail(f"{run} is not the folder of a run: there is no config.json in it")
    rows = folder.read_metrics()
    try:
        figure = loss_curve(rows, run.resolve().name)
    except ValueError as error:
        fail(str(error))
    save(figure, output or run / "loss.png")
    for line in probe_lines(rows):
        typer.echo(line)


def probe_lines(rows: "Sequence[Mapping[str, Any]]") -> list[str]:
    """A line for each probe of the features: its first value in a run's metrics, and its last."""
    lines = []
    for key in dict.fromkeys(key for row in rows for key in row if key.startswith("probe_")):
        first, *_, last = 2 * [row for row in rows if key in row]
        name = key.removeprefix("probe_").replace("_", " ")
        values = (f"{row[key]:.4g} at step {row['step']}" for row in (first, last))
        lines.append(f"{name}: {', '.join(values)}")
    return lines


def save(figure: "Figure", output: Path) -> None:
    """Write a picture in the format that its name ends in."""
    from paka.files import replacing

    if not output.suffix:
        fail(f"{output} names no format; give it an ending, such as {output}.png", MISUSED)
    output.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(output) as aside:
            figure.savefig(aside, format=output.suffix.removeprefix("."))
    except ValueError as error:
        fail(f"{output}: {error}")
    typer.echo(f"written to {output}")
