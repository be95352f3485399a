"""`paka remote wait`, `logs` and `metrics`: jobs while they run, and after."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.remote.options import AsJson, JobId, connected, stopped

if TYPE_CHECKING:
    from service.client import Job, PakaClient


def wait(context: typer.Context, job: JobId, json: AsJson = False) -> None:
    """Wait until a job has ended, and show how far it is.

    Ctrl-C leaves the job running. Exit codes: 0 it succeeded, 1 it failed, 3 it was cancelled.
    """
    with connected(context) as client:
        announce(wait_for(client, job), json)


def logs(
    context: typer.Context,
    job: JobId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option(help="Only the last lines, this many.", min=1, show_default="all")
    ] = None,
) -> None:
    """Print what a job's process printed."""
    with connected(context) as client:
        if not follow:
            typer.echo(client.log(job, tail=tail), nl=False)
            return
        try:
            for text in client.follow_log(job):
                lines = text.splitlines(keepends=True)
                sys.stdout.writelines(lines[-tail:] if tail else lines)
                sys.stdout.flush()
                tail = None  # what comes from now on is new
        except KeyboardInterrupt:
            stopped(f"{job} goes on: paka remote logs -f {job}")


def events(context: typer.Context, job: JobId, json: AsJson = False) -> None:
    """Print what happens to a job, until it has ended; with --json a line for each event."""
    from service.remote import show

    with connected(context) as client:
        try:
            for event in client.events(job):
                if json:
                    show.print_json_line(event)
                    continue
                step = "" if event.step is None else f" {event.step}"
                message = event.message or _shortly(event.data or {})
                typer.echo(f"{show.local(event.time)}  {event.type}{step}  {message}".rstrip())
        except KeyboardInterrupt:
            stopped(f"{job} goes on: paka remote events {job}")


def metrics(
    context: typer.Context,
    job: JobId,
    form: Annotated[
        Literal["csv", "json"],
        typer.Option("--format", help="csv: a column for each metric; json: a line for each step."),
    ] = "csv",
) -> None:
    """Print all metrics of a job, a line for each logged step.

    \b
    paka remote metrics job_… > metrics.csv
    """
    from service.remote import show

    with connected(context) as client:
        if form == "csv":
            client.metrics(job).to_csv(sys.stdout)
            return
        for row in client.metric_rows(job):
            show.print_json_line(row)


def wait_for(client: "PakaClient", job: "Job | str") -> "Job":
    """Wait for a job's end; leaves with an exit code if it is not a good one."""
    name = job if isinstance(job, str) else job.id
    try:
        return client.wait(job, progress=True)
    except KeyboardInterrupt:
        stopped(f"{name} goes on: paka remote wait {name}; to end it: paka remote cancel {name}")


def announce(job: "Job", json: bool) -> None:
    """Say what became of a job, and what can be done next."""
    from service.remote import show

    if json:
        show.print_json(job)
        return
    typer.echo(f"{job.id}  {job.kind}  {show.status(job)}")
    for line in _next_steps(job):
        typer.echo(f"  {line}")


def _next_steps(job: "Job") -> list[str]:
    if not job.has_ended:
        return [
            f"follow it   paka remote wait {job.id}",
            f"its log     paka remote logs -f {job.id}",
        ]
    if job.status != "succeeded":
        return [
            f"its log     paka remote logs {job.id}",
            f"go on       paka remote resume {job.id}",
        ]
    steps = []
    if job.encoder:
        steps.append(f"embed       paka remote embed IMAGES --encoder {job.encoder}")
        steps.append(f"download    paka remote download {job.encoder}")
    if job.kind == "embed":
        steps.append(f"download    paka remote download {job.id}")
    if "report" in job.links:
        steps.append(f"its report  paka remote report {job.id}")
    return steps


def _shortly(data: dict[str, object]) -> str:
    from service.client.progress import describe

    return describe(data)
