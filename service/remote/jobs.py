"""`paka remote jobs`, `job`, and what changes one."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.remote.follow import announce
from service.remote.options import AsJson, JobId, Limit, connected

if TYPE_CHECKING:
    from service.client import Job
    from service.client.schemas import JobError


def jobs(
    context: typer.Context,
    status: Annotated[
        Literal["queued", "running", "succeeded", "failed", "cancelled"] | None,
        typer.Option(help="Only these.", show_default=False),
    ] = None,
    kind: Annotated[
        Literal["train", "embed", "evaluate"] | None,
        typer.Option(help="Only these.", show_default=False),
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only this user's.", show_default=False)] = None,
    search: Annotated[
        str | None,
        typer.Option(
            help="Only those in whose id, name, data set, encoders … each of these words is found.",
            show_default=False,
        ),
    ] = None,
    limit: Limit = 20,
    json: AsJson = False,
) -> None:
    """List jobs, newest first.

    \b
    paka remote jobs --status running
    paka remote jobs --user ada --kind train --limit 100
    paka remote jobs --search "camvid dinov2"
    """
    from service.remote import show

    with connected(context) as client:
        found = client.jobs(kind=kind, status=status, user=user, search=search, limit=limit)
        if json:
            show.print_json(found)
            return
        columns = ("id", "kind", "status", "progress", "left#", "user", "age", "name")
        show.table(None, columns, map(_row, found))


def job(context: typer.Context, job: JobId, json: AsJson = False) -> None:
    """Look at a job: status, progress, settings, what it made, and why it failed."""
    from service.remote import show

    with connected(context) as client:
        found = client.job(job)
        if json:
            show.print_json(found)
            return
        show.facts(_facts(found))


def cancel(context: typer.Context, job: JobId, json: AsJson = False) -> None:
    """Stop a job; a running one writes a checkpoint first, and can be resumed."""
    with connected(context) as client:
        announce(client.cancel(job), json)


def resume(context: typer.Context, job: JobId, json: AsJson = False) -> None:
    """Queue a failed or cancelled job again; it goes on from its last checkpoint."""
    with connected(context) as client:
        announce(client.resume(job), json)


def update(
    context: typer.Context,
    job: JobId,
    name: Annotated[str | None, typer.Option(help="For people.", show_default=False)] = None,
    priority: Annotated[
        Literal["low", "normal", "high"] | None,
        typer.Option(help="high is for admins to give.", show_default=False),
    ] = None,
    visibility: Annotated[
        Literal["lab", "private"] | None,
        typer.Option(help="private: only its owner and admins see it.", show_default=False),
    ] = None,
    pinned: Annotated[
        bool | None,
        typer.Option("--pin/--unpin", help="Keep it when room is made.", show_default=False),
    ] = None,
    json: AsJson = False,
) -> None:
    """Change a job's name, priority, who sees it, and whether it is kept when room is made."""
    with connected(context) as client:
        found = client.update(
            job, name=name, priority=priority, visibility=visibility, pinned=pinned
        )
        announce(found, json)


def delete(
    context: typer.Context,
    job: JobId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a job that has ended, with its encoder, checkpoints, features and log."""
    with connected(context) as client:
        if not yes:
            found = client.job(job)
            what = f" and the encoder {found.encoder}" if found.encoder else ""
            typer.confirm(
                f"Remove {job} ({found.kind}, {found.status}){what}?", abort=True, err=True
            )
        client.delete(job)
        typer.echo(f"{job} is gone", err=True)


def _row(job: "Job") -> tuple[str, ...]:
    from service.remote import show

    left, age = show.duration(job.eta_seconds), show.age(job.created_at)
    return job.id, job.kind, show.status(job), _progress(job), left, job.user, age, job.name or ""


def _facts(job: "Job") -> dict[str, object]:
    from service.client.progress import describe
    from service.remote import show

    seen_by = {"lab": "everybody", "private": "its owner and admins"}
    return {
        "id": job.id,
        "kind": job.kind,
        "status": show.status(job),
        "name": job.name,
        "user": job.user,
        "priority": job.priority,
        "seen by": seen_by.get(job.visibility, job.visibility),
        "waits for": job.waiting and f"{job.waiting.reason} (#{job.waiting.position})",
        "progress": job.progress and f"{_progress(job)}  {describe(job.progress)}",
        "error": job.error and _reason(job.error),
        "skipped": job.skipped and f"{job.skipped.count} images that cannot be read",
        "data": job.config.get("dataset"),
        "encoder": job.encoder,
        "worker": _where(job),
        "attempt": job.attempt,
        "queued": show.local(job.created_at),
        "started": show.local(job.started_at),
        "finished": show.local(job.finished_at),
    }


def _where(job: "Job") -> str | None:
    """Its worker; of several nodes each one's, with its slots and how it is."""
    places = (f"{node.worker} ({' '.join(node.slots)}, {node.state})" for node in job.nodes)
    return "; ".join(places) or job.worker


def _reason(error: "JobError") -> str:
    return f"{error.message} ({error.code})" if error.message else error.code


def _progress(job: "Job") -> str:
    row = job.progress or {}
    return f"{row['step']}/{row.get('total_steps', '?')}" if "step" in row else ""
