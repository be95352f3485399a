"""The command `paka` and its parts."""

import os
from typing import Annotated, NoReturn

import typer

from paka.cli.doctor import doctor
from paka.cli.embed import embed
from paka.cli.encoders import encoders
from paka.cli.errors import FAILED, describe_os_error
from paka.cli.evaluate import evaluate
from paka.cli.export import export
from paka.cli.extras import OpenGroup
from paka.cli.show import show
from paka.cli.train import train

app = typer.Typer(
    cls=OpenGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is there in half the time
)
app.command()(train)
app.command()(evaluate)
app.command()(embed)
app.command()(export)
app.add_typer(show, name="show")
app.command()(encoders)
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"paka {version('paka-service')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Post-train a vision transformer so that its patch features improve, and use them.

    \b
    paka train photos --preset tiny          post-train on a folder of images
    paka evaluate NAME runs/… --on camvid    compare encoders on labelled images
    paka embed photos --encoder runs/…       dense features of a folder, or of a few images
    paka export runs/… --to onnx             for timm, transformers, the Hugging Face hub, ONNX
    paka show features cat.jpg --encoder …   what the features see, as colours
    """


def main() -> NoReturn:
    """Do what the command line says, and leave without waiting for torch to be cleared away."""
    from paka.process import WAIT_ASLEEP, leave

    # Before torch is imported, here or in a process that is started from here.
    for name, value in WAIT_ASLEEP.items():
        os.environ.setdefault(name, value)
    try:
        app(prog_name="paka")
    except SystemExit as end:
        code = end.code
    except OSError as error:
        typer.secho(f"error: {describe_os_error(error)}", err=True, fg=typer.colors.RED)
        code = FAILED
    leave(code if isinstance(code, int) else int(code is not None))
