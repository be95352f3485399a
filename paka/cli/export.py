"""`paka export`: an encoder for other libraries, compared with what they make of it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from paka.cli.errors import reporting_errors

if TYPE_CHECKING:
    from paka.export import About


class Target(StrEnum):
    """What `--to` may be: the targets of `paka.export`, which would take seconds to import."""

    TIMM = "timm"
    TRANSFORMERS = "transformers"
    HUGGINGFACE = "huggingface"
    ONNX = "onnx"


class Extra(StrEnum):
    """What `--include` may be."""

    TRANSFORMERS = "transformers"
    ONNX = "onnx"


def export(
    encoder: Annotated[
        str, typer.Argument(help="name, name@weights or the folder of a run.", show_default=False)
    ],
    to: Annotated[Target, typer.Option(help="The other library, or the hub.", show_default=False)],
    output: Annotated[Path, typer.Option(help="A new folder.", show_default=False)],
    size: Annotated[
        int | None,
        typer.Option(
            help="Side in pixels for which images are prepared there.",
            show_default="the encoder's own",
        ),
    ] = None,
    include: Annotated[
        list[Extra] | None,
        typer.Option(help="huggingface: also this, into a sub-folder; may be given twice."),
    ] = None,
    license: Annotated[
        str | None, typer.Option(help="huggingface: the hub's name of a licence.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="huggingface: folder of the run that the card tells of, or of a job's files.",
            show_default="ENCODER, if it is one",
        ),
    ] = None,
    picture: Annotated[
        list[Path] | None,
        typer.Option(help="huggingface: image whose features the card shows; it is published."),
    ] = None,
    push: Annotated[
        str | None, typer.Option(help="huggingface: upload to this repository, user/name.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="A new repository can be seen by everybody.")
    ] = False,
) -> None:
    """Write an encoder for another library, load it there, and compare their features.

    \b
    paka export runs/my-run --to transformers --output for-transformers
    paka export runs/my-run --to huggingface --output card --picture cat.jpg --license apache-2.0
    paka export vit_small_patch14_reg4_dinov2@mine.safetensors --to onnx --output for-onnx

    If an export does not compute what the encoder does, nothing is left. Exit codes: 0 done,
    1 failed, 2 options that cannot work.
    """
    with reporting_errors():
        from paka.cli.reference import read_reference
        from paka.extras import require_method

        check_options(to, include, license, run, picture, push, public or None)
        config = read_reference(encoder)
        require_method("an export")

        from paka.encoder import DenseEncoder
        from paka.export import export as write
        from paka.export import push as upload

        about = make_about(
            title=(push or output.absolute().name).rpartition("/")[2],
            repository=push,
            license=license,
            run=run or run_of(encoder),
            step=step_of(encoder),
            images=tuple(picture or ()),
        )
        model = DenseEncoder.from_config(config)
        extras: list[Literal["transformers", "onnx"]] = [extra.value for extra in include or ()]
        for check in write(model, to.value, output, size=size, include=extras, about=about):
            typer.echo(check)
        typer.echo(f"written to {output}")
        if push:
            typer.echo(f"pushed to {upload(output, push, public)}")


def check_options(to: Target, *of_the_hub: Any) -> None:
    """Raise ConfigError if options for the hub are given for another target."""
    from paka.errors import ConfigError

    if to != Target.HUGGINGFACE and any(value is not None for value in of_the_hub):
        raise ConfigError(
            f"--include, --license, --run, --picture, --push and --public are for --to "
            f"huggingface, not {to.value}"
        )


def make_about(**values: Any) -> "About":
    """What the card says.

    Raises:
        ConfigError: a value that cannot be used.
    """
    from pydantic import ValidationError

    from paka.cli.errors import describe
    from paka.errors import ConfigError
    from paka.export import About

    try:
        return About.model_validate(values)
    except ValidationError as error:
        raise ConfigError(describe(error, prefix="--")) from None


def run_of(reference: str) -> Path | None:
    """The folder of the run that a reference names, or whose result or checkpoint it names."""
    path = Path(reference).expanduser()
    places = (path, path.parent, path.parent.parent) if path.is_dir() else ()
    return next((place for place in places if (place / "config.json").is_file()), None)


def step_of(reference: str) -> int | None:
    """The step of the checkpoint or the result that a reference names; None if it names neither."""
    from paka.files import read_json

    meta = Path(reference).expanduser() / "meta.json"
    return read_json(meta)["step"] if meta.is_file() else None
