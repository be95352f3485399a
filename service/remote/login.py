"""`paka remote login` and `logout`."""

import sys
from typing import Annotated

import typer

from service.remote.options import reporting_errors


def login(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Argument(help="Of the service.", show_default="--url, else as before")
    ] = None,
) -> None:
    """Keep a service and your key for it, for `paka remote` and for PakaClient().

    The key is asked for, or read from standard input; it is kept in a file that only you can read.

    \b
    paka remote login https://paka.lab.example
    paka remote login https://paka.lab.example < key.txt
    """
    from service.client import PakaClient
    from service.client.profile import Profile, choose
    from service.client.profile import login as keep

    given = context.obj
    chosen = choose(url or given.url, given.key)
    key = given.key or _ask_for_key(chosen.url)
    with reporting_errors(), PakaClient(chosen.url, key) as client:
        me = client.me()
    file = keep(Profile(chosen.url, key))
    typer.echo(f"{chosen.url} knows you as {me.name} ({me.role}); kept in {file}")


def logout() -> None:
    """Forget the service and the key that `login` kept."""
    from service.client.profile import login_file
    from service.client.profile import logout as forget

    typer.echo(f"removed {login_file()}" if forget() else "there was no login")


def _ask_for_key(url: str) -> str | None:
    if sys.stdin.isatty():
        text = typer.prompt(
            f"Key for {url} (empty if it takes none)", "", hide_input=True, err=True
        )
    else:
        text = sys.stdin.readline()
    return text.strip() or None
