"""The command's parts, and how errors are shown."""

from importlib.metadata import version
from typing import Annotated

import typer

from paka.cli.embed import embed
from paka.cli.encoders import encoders
from paka.cli.show import show
from paka.cli.train import train

app = typer.Typer(
    name="paka",
    help="Post-train a vision transformer for better patch features, and look at them.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.command()(train)
app.command()(embed)
app.command()(encoders)
app.add_typer(show, name="show")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"paka {version('paka-service')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Post-train a vision transformer for better patch features, and look at them."""
