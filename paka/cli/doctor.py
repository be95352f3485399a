"""`paka doctor`: what is wrong with an installation, and how to mend it."""

from typing import Annotated

import typer

from paka.cli.errors import FAILED


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the hub of pretrained weights.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(help="A server to look at instead of a service here, https://…"),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Key for that server.", envvar="PAKA_KEY", show_default=False),
    ] = None,
) -> None:
    """Look this installation over, and say how to mend what is wrong.

    Nothing is changed. The service's own settings are read from PAKA_… variables. The exit code
    is 1 if something does not work, else 0.

    \b
    paka doctor
    paka doctor --url https://paka.lab.example
    """
    from rich.console import Console

    from paka.doctor.examine import examine
    from paka.doctor.finding import Level, Request
    from paka.doctor.show import as_json as to_json
    from paka.doctor.show import show, summary

    console, topics = Console(highlight=False), []
    for title, findings in examine(Request(online, url, key)):
        topics.append((title, findings))
        if not as_json:
            show(console, title, findings)
    found = [finding for _, findings in topics for finding in findings]
    typer.echo(to_json(topics) if as_json else summary(found))
    if any(finding.level is Level.PROBLEM for finding in found):
        raise typer.Exit(FAILED)
