"""`paka remote cluster` and `status`."""

from typing import TYPE_CHECKING

import typer

from service.remote.options import AsJson, connected

if TYPE_CHECKING:
    from service.client import Cluster
    from service.client.schemas import QueuedJob


def cluster(context: typer.Context, json: AsJson = False) -> None:
    """Show what runs where, who waits for what, and who has used how much."""
    from service.remote import show

    with connected(context) as client:
        found = client.cluster()
        if json:
            show.print_json(found)
        else:
            show_cluster(found)


def show_cluster(found: "Cluster") -> None:
    """Three tables."""
    from service.remote import show

    slots = [(worker, slot) for worker in found.workers for slot in worker.slots]
    show.table(
        "Slots",
        ("worker", "slot", "device", "free#", "job", "user"),
        (
            (worker.name, slot.id, slot.device, show.size(slot.free_bytes), slot.job, slot.user)
            for worker, slot in slots
        ),
    )
    for worker in found.workers:
        if worker.problem:
            typer.echo(f"{worker.name} takes no work: {worker.problem}")
    if found.queue:
        show.table(
            f"Queue ({found.queued_jobs})",
            ("place#", "job", "user", "priority", "slots#", "starts", "waits for"),
            (
                (
                    q.position,
                    q.job,
                    q.user,
                    q.priority,
                    _slots(q),
                    show.local(q.starts_at),
                    q.reason,
                )
                for q in found.queue
            ),
        )
    show.table(
        "Users",
        ("user", "running#", "queued#", "hours this week#", "share#"),
        (
            (u.user, u.running_slots, u.queued_jobs, f"{u.week_slot_hours:.1f}", f"{u.share:.0%}")
            for u in found.users
        ),
    )


def _slots(job: "QueuedJob") -> str:
    return f"{job.slots}" if job.nodes == 1 else f"{job.slots} on {job.nodes} hosts"


def status(context: typer.Context, json: AsJson = False) -> None:
    """Say whether the service answers, whether it is ready, and who you are to it.

    Exit codes: 0 it is ready, 4 it is not.
    """
    from service.remote import show

    with connected(context) as client:
        found, me = client.ready(), client.me()
        if json:
            show.print_json({**found.model_dump(mode="json"), "me": me.model_dump(mode="json")})
            return
        show.facts(
            {
                "service": client.url,
                "status": found.status,
                "version": found.version,
                "you": f"{me.name} ({me.role})",
            }
        )
