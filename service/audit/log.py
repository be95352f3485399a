"""Writing and reading the audit log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.auth.actor import Actor
from service.store.models import AuditEntry


def audit(
    session: Session,
    actor: Actor | None,
    action: str,
    target: str | None = None,
    data: dict[str, Any] | None = None,
    address: str | None = None,
) -> None:
    """Note a change, in the transaction that makes it: neither is there without the other.

    Args:
        actor: who did it; None if nobody knows, as of a key that was refused.
        action: `thing.verb`, such as `job.cancel`.
        target: id of the thing.
        data: what was changed; never a secret.
        address: where it came from. Default: the actor's.
    """
    entry = AuditEntry(action=action, target=target, data=data, address=address)
    if actor is not None:
        entry.user_id, entry.user_name, entry.key_id = actor.user_id, actor.name, actor.key_id
        entry.address = address or actor.address
    session.add(entry)


def audit_page(
    session: Session,
    limit: int,
    before: int | None = None,
    user: str | None = None,
    action: str | None = None,
    target: str | None = None,
    since: datetime | None = None,
) -> Sequence[AuditEntry]:
    """Up to `limit` entries older than the entry `before`, newest first.

    Args:
        action: `job.cancel`, or all of `job`.
    """
    query = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    if user is not None:
        query = query.where(AuditEntry.user_name == user)
    if action is not None:
        query = query.where(
            (AuditEntry.action == action)
            | AuditEntry.action.startswith(f"{action}.", autoescape=True)
        )
    if target is not None:
        query = query.where(AuditEntry.target == target)
    if since is not None:
        query = query.where(AuditEntry.time >= since)
    return session.scalars(query).all()
