"""`paka remote evaluate` and `report`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from paka.cli.options import EvaluateAssignments, Protocols
from service.remote.completion import complete_dataset, complete_encoder
from service.remote.follow import announce, wait_for
from service.remote.options import AsJson, JobId, Low, Name, Private, Wait, connected

if TYPE_CHECKING:
    from service.client import PakaClient


def evaluate(
    context: typer.Context,
    encoders: Annotated[
        list[str],
        typer.Argument(
            help="Ids of encoders, or name, name@weights; the first is the base that the others "
            "are held against.",
            autocompletion=complete_encoder,
        ),
    ],
    on: Annotated[
        str,
        typer.Option(
            metavar="DATASET",
            help="Name or path on the server of a labelled data set.",
            show_default=False,
            autocompletion=complete_dataset,
        ),
    ],
    protocol: Protocols = None,
    size: Annotated[
        int | None, typer.Option(help="Side of the images in pixels.", show_default="224")
    ] = None,
    assignments: EvaluateAssignments = None,
    name: Name = None,
    private: Private = False,
    low: Low = False,
    wait: Wait = False,
    json: AsJson = False,
) -> None:
    """Compare encoders on labelled images on the server.

    \b
    paka remote evaluate vit_starter_patch16_224 enc_… --on labelled --wait
    """
    with connected(context) as client:
        job = client.evaluate(
            encoders,
            on,
            protocols=protocol,
            size=size,
            name=name,
            visibility="private" if private else None,
            priority="low" if low else None,
            **_settings(assignments or []),
        )
        if not wait:
            announce(job, json)
            return
        job = wait_for(client, job)
        if json:
            announce(job, json)
        else:
            print_report(client, job.id)


def report(
    context: typer.Context,
    job: JobId,
    form: Annotated[
        Literal["table", "markdown", "html", "json"],
        typer.Option("--format", help="html: a page with pictures."),
    ] = "table",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write to.", show_default="the terminal"),
    ] = None,
) -> None:
    """Print what a job that evaluates found.

    \b
    paka remote report job_…
    paka remote report job_… --format html --output report.html
    """
    with connected(context) as client:
        if form == "table" and output is None:
            print_report(client, job)
            return
        text = client.report_text(job, "markdown" if form == "table" else form)
        if output is None:
            typer.echo(text)
        else:
            output.write_text(text)
            typer.echo(f"written to {output}", err=True)


def print_report(client: "PakaClient", job: str) -> None:
    """The report's table: as Markdown where it is no terminal that shows it."""
    text = client.report_text(job, "markdown")
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.markdown import Markdown

    from service.remote import show

    show.console().print(Markdown(text))


def _settings(assignments: list[str]) -> dict[str, Any]:
    from paka.cli.settings import parse_assignment
    from paka.evaluation.config import EvaluateConfig
    from paka.presets import merge

    settings: dict[str, Any] = {}
    for assignment in assignments:
        settings = merge(settings, parse_assignment(assignment, EvaluateConfig))
    return settings
