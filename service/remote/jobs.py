"""`paka remote jobs`, `job`, and what changes one."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from service.remote.follow import announce
from service.remote.options import AsJson, JobId, Limit, connected

if TYPE_CHECKING:
    from service.client import Job


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
    limit: Limit = 20,
    json: AsJson = False,
) -> None:
    """List jobs, newest first.

    \b
    paka remote jobs --status running
    paka remote jobs --user ada --kind train --limit 100
    """
    from service.remote import show

    with connected(context) as client:
        found = client.jobs(kind=kind, status=status, user=user, limit=limit)
        if json:
            show.print_json(found)
            return
        columns = ("id", "kind", "status", "progress", "left#", "user", "made", "name")
        show.table(None, columns, map(_row, found))


def job(context: typer.Context, job: JobId, json: AsJson = False) -> None:
    """Look at a job: status, progress, settings, what it made, and why it failed."""
    from service.remote import show

    with connected(context) as client:
        found = client.job(job)
        if json:
            show.print_json(found)
            return
        show.facts(
            {
                "id": found.id,
                "kind": found.kind,
                "status": found.status,
                "name": found.name,
                "user": found.user,
                "seen by": {"lab": "everybody", "private": "its owner and admins"}.get(
                    found.visibility
                ),
                "waits for": found.waiting
                and f"{found.waiting.reason} (#{found.waiting.position})",
                "progress": _progress(found) or None,
                "error": found.error and f"{found.error.message} ({found.error.code})",
                "skipped": found.skipped and f"{found.skipped.count} images that cannot be read",
                "encoder": found.encoder,
                "data": found.config.get("dataset"),
                "worker": found.worker,
                "attempt": found.attempt,
                "queued": show.local(found.created_at),
                "started": show.local(found.started_at),
                "finished": show.local(found.finished_at),
            }
        )


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

    left, made = show.duration(job.eta_seconds), show.ago(job.created_at)
    return job.id, job.kind, job.status, _progress(job), left, job.user, made, job.name or ""


def _progress(job: "Job") -> str:
    row = job.progress or {}
    if "step" not in row:
        return ""
    loss = f"  loss {row['loss']:.3f}" if "loss" in row else ""
    return f"{row['step']}/{row.get('total_steps', '?')}{loss}"
