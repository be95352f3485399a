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
    with reporting_errors():
        from service.client import PakaClient
        from service.client.profile import Profile, checked_key, choose
        from service.client.profile import login as keep

        given = context.obj
        url = choose(url or given.url, given.key).url
        key = checked_key(given.key or _ask_for_key(url))
        with PakaClient(url, key) as client:
            me = client.me()
        file = keep(Profile(url, key))
        typer.echo(f"{url} knows you as {me.name} ({me.role}); kept in {file}")


def logout() -> None:
    """Forget the service and the key that `login` kept."""
    with reporting_errors():
        from service.client.profile import login_file
        from service.client.profile import logout as forget

        typer.echo(f"removed {login_file()}" if forget() else "there was no login")


def _ask_for_key(url: str) -> str:
    if sys.stdin.isatty():
        prompt = f"Key for {url} (empty if it takes none)"
        return str(typer.prompt(prompt, "", hide_input=True, err=True))
    return sys.stdin.readline()
