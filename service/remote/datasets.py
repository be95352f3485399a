"""`paka remote datasets` and `upload`."""

from pathlib import Path
from typing import Annotated

import typer

from service.remote.options import AsJson, Limit, connected


def datasets(context: typer.Context, limit: Limit = 100, json: AsJson = False) -> None:
    """List the data sets on the server that jobs may use."""
    from service.remote import show

    with connected(context) as client:
        found = client.datasets(limit=limit)
        if json:
            show.print_json(found)
            return
        rows = (
            (
                one.name,
                f"{one.images}{'' if one.complete else '+'}",
                show.size(one.bytes),
                one.user or one.source,
                show.age(one.created_at),
                one.path,
            )
            for one in found
        )
        show.table(None, ("name", "images#", "size#", "from", "age", "path"), rows)


def upload(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A folder, or a .tar, .tar.gz or .zip.")],
    name: Annotated[
        str | None, typer.Option(help="Of the data set.", show_default="the folder's or archive's")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Only you and admins use it.")] = False,
    json: AsJson = False,
) -> None:
    """Make a data set on the server of images of this machine.

    \b
    paka remote upload photos
    paka remote upload photos.tar.gz --name holiday --private
    """
    from service.remote import show

    with connected(context) as client:
        made = client.upload(path, name, visibility="private" if private else "lab")
        if json:
            show.print_json(made)
            return
        for file in made.unreadable:
            typer.echo(f"left out: {file.file} {file.reason}", err=True)
        if made.unreadable_count > len(made.unreadable):
            more = made.unreadable_count - len(made.unreadable)
            typer.echo(f"left out: {more} more images that cannot be read", err=True)
        typer.echo(f"{made.name}: {made.images} images, {show.size(made.bytes)}")
        typer.echo(f"  train on it   paka remote train {made.name}")
