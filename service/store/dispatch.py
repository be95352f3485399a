"""Between the database and the scheduling policy: what waits and runs, and claiming what is next.

All workers decide by the same policy and the same rows, one after the other: `claim_next` holds a
lock until the caller's transaction ends. Which slots are taken follows from the running jobs'
rows, so what a worker that died held is free again once its job is queued again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, or_, select, text
from sqlalchemy.orm import Session

from service.store import attempts, nodes
from service.store.attempts import Lease
from service.store.base import utc_now
from service.store.contract import CONTRACT_VERSION
from service.store.models import Attempt, Job
from service.store.places import Running, Waiting, Worker
from service.store.scheduling import WEEK_SECONDS, Rules, Start, State, Usage, place, used
from service.store.settings import Settings
from service.store.status import JobStatus

_LOCK = 0x70616B61  # any number that nobody else locks in this database
_HALF_LIVES = 10
"""Usage older than this many half-lives counts for nothing."""


class Claim(NamedTuple):
    """What a worker got, if anything, and a job that could be started next, here or elsewhere."""

    lease: Lease | None
    next_job_id: str | None


def claim_next(
    session: Session,
    workers: Sequence[Worker],
    settings: Settings,
    owner: str,
    rendezvous: str = "",
) -> Claim:
    """Claim the job that the first of `workers` should start now.

    Args:
        workers: the one that asks, then all others.
        owner: see `attempts.claim`.
        rendezvous: where the nodes of a job that has several can meet, `host:port` on this host.
    """
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    mine, lease, following = workers[0].name, None, None
    for decision in place(read_state(session, workers, settings)):
        if lease is None and decision.worker == mine:
            seconds = settings.lease_seconds
            lease = attempts.claim(session, decision.job.id, owner, seconds, mine, decision.slots)
            if lease and decision.job.nodes > 1:
                nodes.open_parts(session, lease, decision.shares, rendezvous)
        elif following is None:
            following = decision.job.id
        if lease and following:
            break
    return Claim(lease, following)


def read_state(session: Session, workers: Sequence[Worker], settings: Settings) -> State:
    """All that the policy looks at, as it is now."""
    now, rules = utc_now(), make_rules(settings)
    waiting = _waiting(session)
    return State(
        now.timestamp(),
        waiting,
        _running(session),
        workers,
        _usage(session, now, rules.half_life_seconds),
        _starts(session, min((job.queued_at for job in waiting), default=now.timestamp())),
        rules,
    )


def make_rules(settings: Settings) -> Rules:
    """The policy's rules by the settings."""
    hours = settings.user_week_hours
    return Rules(
        aging_seconds=settings.aging_hours * 3600,
        half_life_seconds=settings.half_life_hours * 3600,
        patience_seconds=settings.patience_minutes * 60,
        preempt_after_seconds=settings.preempt_after_minutes * 60,
        user_slots=settings.user_running_slots,
        user_week_seconds=None if hours is None else hours * 3600,
    )


def _waiting(session: Session) -> list[Waiting]:
    left = func.coalesce(Job.progress["eta_seconds"].as_float(), Job.expected_seconds)
    about = (Job.id, Job.user_id, Job.priority, Job.slots, Job.queued_at, Job.memory_bytes)
    rows = session.execute(
        select(*about, left, Job.nodes)
        .where(Job.status == JobStatus.QUEUED, Job.contract <= CONTRACT_VERSION)
        .order_by(Job.id)
    )
    return [
        Waiting(job_id, user, priority, slots, queued_at.timestamp(), memory or 0, seconds, count)
        for job_id, user, priority, slots, queued_at, memory, seconds, count in rows
    ]


def _running(session: Session) -> list[Running]:
    rows = session.execute(
        select(Job, Attempt.started_at)
        .join(Attempt, (Attempt.job_id == Job.id) & Attempt.ended_at.is_(None))
        .where(Job.status == JobStatus.RUNNING)
        .order_by(Job.id)
    )
    return [
        Running(
            job.id,
            job.user_id,
            job.priority,
            tuple(job.slot_ids or ()),
            job.queued_at.timestamp(),
            started_at.timestamp(),
            job.memory_bytes or 0,
            _expected_end(job, started_at),
            job.preempt_requested or job.cancel_requested,
        )
        for job, started_at in rows
    ]


def _expected_end(job: Job, started_at: datetime) -> float | None:
    """When a running job will end, by its own word or by what was expected; None if unknown."""
    progress = job.progress or {}
    if progress.get("eta_seconds") is not None and "time" in progress:
        return datetime.fromisoformat(progress["time"]).timestamp() + float(progress["eta_seconds"])
    if job.expected_seconds is None:
        return None
    return started_at.timestamp() + job.expected_seconds


def _usage(session: Session, now: datetime, half_life: float) -> dict[str, Usage]:
    """What each user has used; attempts that are still open count up to now."""
    week = now.timestamp() - WEEK_SECONDS
    since = now - timedelta(seconds=max(WEEK_SECONDS, _HALF_LIVES * half_life))
    rows = session.execute(
        select(Attempt.user_id, Attempt.slots, Attempt.started_at, Attempt.ended_at).where(
            or_(Attempt.ended_at.is_(None), Attempt.ended_at > since)
        )
    )
    usage: dict[str, Usage] = {}
    for user, slots, started_at, ended_at in rows:
        start, end = started_at.timestamp(), (ended_at or now).timestamp()
        before = usage.get(user, Usage())
        usage[user] = Usage(
            before.recent + used(slots, start, end, now.timestamp(), half_life),
            before.week + slots * max(end - max(start, week), 0),
        )
    return usage


def _starts(session: Session, since: float) -> dict[str, list[Start]]:
    """When each user's last job of each priority and size was started, since a time."""
    rows = session.execute(
        select(Attempt.user_id, Job.priority, Attempt.slots, func.max(Attempt.started_at))
        .join(Job, Job.id == Attempt.job_id)
        .where(Attempt.started_at > datetime.fromtimestamp(since, UTC))
        .group_by(Attempt.user_id, Job.priority, Attempt.slots)
    )
    starts: dict[str, list[Start]] = {}
    for user, priority, slots, time in rows:
        starts.setdefault(user, []).append(Start(priority, slots, time.timestamp()))
    return starts
