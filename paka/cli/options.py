"""Options that mean the same to several commands, here and on a server."""

from pathlib import Path
from typing import Annotated

import typer

from paka import choices
from paka.cli.completion import complete_preset

Preset = Annotated[
    str | None,
    typer.Option(
        help="What holds for all that you leave out: light, paper (higher resolution) or tiny (a "
        "minute on a CPU).",
        show_default="light",
        autocompletion=complete_preset,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(help="YAML file of settings, as `paka train --dry-run` prints them."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be given several times."),
]
Protocols = Annotated[
    list[str] | None,
    typer.Option(
        help="in_context, linear, overclustering, knn or probes; may be given several times.",
        show_default="all",
    ),
]
EvaluateAssignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any other setting, such as train_images=500, layout=voc or in_context.k=50; may be "
        "given several times.",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        help="Side of the encoder's input in pixels, or HEIGHTxWIDTH; multiples of its patch size.",
        show_default="the encoder's own",
    ),
]
Resize = Annotated[
    choices.Resize,
    typer.Option(help="crop: the largest centred part; stretch: all of the image."),
]
Layers = Annotated[
    str | None,
    typer.Option(
        help="Blocks whose patch tokens are joined, such as -4,-1; negative ones count from the "
        "end.",
        show_default="the last",
    ),
]
Dtype = Annotated[choices.Dtype, typer.Option(help="Number format.")]
Normalize = Annotated[bool, typer.Option("--normalize", help="Scale every vector to length one.")]
Pooling = Annotated[
    choices.Pooling,
    typer.Option(help="Image features: the model's own, its class token, or the mean."),
]
FeatureFormat = Annotated[
    choices.FeatureFormat, typer.Option("--format", help="Of a data set's features.")
]
