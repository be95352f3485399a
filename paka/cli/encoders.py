"""`paka encoders`: which architectures there are."""

from typing import Annotated

import typer


def encoders(
    pattern: Annotated[str, typer.Argument(help="Part of a name, such as dinov2.")] = "",
) -> None:
    """List the known architectures. Weights follow a name after an @: NAME@random, NAME@FILE."""
    from rich.console import Console
    from rich.table import Table

    from paka.architectures import architectures

    found = [a for name, a in sorted(architectures().items()) if pattern.lower() in name.lower()]
    if not found:
        typer.echo(f"paka: no architecture has {pattern!r} in its name", err=True)
        raise typer.Exit(1)
    table = Table("name", "patch", "dimension", "depth", "size", box=None)
    for a in found:
        table.add_row(a.name, *(str(v) for v in (a.patch_size, a.dim, a.depth, a.size)))
    Console().print(table)
