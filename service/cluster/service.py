"""Putting the cluster together: announcements from Redis, rows from the database, the policy."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice

from redis import RedisError
from sqlalchemy.orm import Session

from service.auth.actor import Actor, may_see
from service.cluster.schemas import (
    PRIVATE,
    Cluster,
    ClusterSlot,
    ClusterWorker,
    Limits,
    QueuedJob,
    UserUsage,
)
from service.deps import Resources
from service.errors import unavailable
from service.health.service import RETRY_SECONDS, find_workers
from service.jobs.schemas import WaitingView
from service.store import queries
from service.store.dispatch import read_state
from service.store.forecast import forecast
from service.store.models import PRIORITY_NAMES, Job
from service.store.places import Worker
from service.store.scheduling import Decision, State, Usage, decide
from service.store.settings import Settings
from service.store.workers import Announced, SlotView, announced_workers, for_jobs

SOON = "starts in a moment"
SHOWN = 500
"""How much of the queue is shown."""


def look(resources: Resources, actor: Actor) -> Cluster:
    """Return the cluster as this actor may see it.

    Raises:
        ApiError: 503; Redis, in which workers announce themselves, is away.
    """
    try:
        announced, views = announced_workers(resources.redis), find_workers(resources.redis)
    except RedisError as error:
        detail = f"Redis does not answer: {error}"
        raise unavailable("queue_unavailable", detail, RETRY_SECONDS) from error
    with resources.database.read() as session:
        state = read_state(session, for_jobs(announced), resources.settings)
        queue = list(islice(decide(state), SHOWN))
        ids = [one.job.id for one in queue] + [job.id for job in state.running]
        known = {job.id: job for job in queries.jobs_of(session, ids)}
        names = queries.user_names(session, _users_in(state))
    slots = _Slots(state, actor, known, names)
    by_name = {worker.name: worker for worker in announced}
    return Cluster(
        workers=[
            ClusterWorker(**view.model_dump(), slots=slots.of(by_name.get(view.name)))
            for view in views
        ],
        queued_jobs=len(state.waiting),
        queue=_queue(state, queue, actor, known, names),
        users=_users(state, names),
        limits=_limits(resources.settings),
    )


def waiting_view(
    session: Session, workers: Sequence[Worker], settings: Settings, job_id: str
) -> WaitingView | None:
    """Where a queued job stands in the queue and what it waits for; None if it waits no more."""
    decisions = decide(read_state(session, workers, settings))
    for position, decision in enumerate(decisions, start=1):
        if decision.job.id == job_id:
            return WaitingView(position=position, reason=_reason(decision))
    return None


class _Slots:
    """Shows workers' slots, and what this actor may know of what runs on them."""

    def __init__(
        self, state: State, actor: Actor, jobs: Mapping[str, Job], names: Mapping[str, str]
    ) -> None:
        self.holders = {slot: job for job in state.running for slot in job.slots}
        self.actor, self.jobs, self.names = actor, jobs, names

    def of(self, worker: Announced | None) -> list[ClusterSlot]:
        """The slots of a worker; none if it has gone."""
        if worker is None:
            return []
        busy = {gpu.id: gpu.busy for gpu in worker.use.gpus} if worker.use else {}
        return [self._show(slot, busy.get(slot.id)) for slot in worker.slots]

    def _show(self, slot: SlotView, busy: float | None) -> ClusterSlot:
        holder = self.holders.get(slot.id)
        return ClusterSlot(
            id=slot.id,
            device=slot.device,
            memory_bytes=slot.total_bytes,
            free_bytes=slot.free_bytes,
            utilisation=busy,
            job=_shown(self.actor, self.jobs.get(holder.id)) if holder else None,
            user=self.names.get(holder.user) if holder else None,
        )


def _queue(
    state: State,
    decisions: Sequence[Decision],
    actor: Actor,
    jobs: Mapping[str, Job],
    names: Mapping[str, str],
) -> list[QueuedJob]:
    starts = forecast(state)
    return [
        QueuedJob(
            position=position,
            job=_shown(actor, jobs.get(one.job.id)),
            user=names[one.job.user],
            priority=PRIORITY_NAMES[one.job.priority],
            slots=one.job.slots,
            nodes=one.job.nodes,
            queued_at=_time(one.job.queued_at),
            reason=_reason(one),
            starts_at=_time(starts[one.job.id]) if one.job.id in starts else None,
        )
        for position, one in enumerate(decisions, start=1)
    ]


def _users(state: State, names: Mapping[str, str]) -> list[UserUsage]:
    running: Counter[str] = Counter()
    for job in state.running:
        running[job.user] += len(job.slots)
    queued = Counter(job.user for job in state.waiting)
    total = sum(usage.recent for usage in state.usage.values())
    found = []
    for user in sorted({*running, *queued, *state.usage}, key=lambda one: names[one]):
        usage = state.usage.get(user, Usage())
        found.append(
            UserUsage(
                user=names[user],
                running_slots=running[user],
                queued_jobs=queued[user],
                recent_slot_hours=usage.recent / 3600,
                week_slot_hours=usage.week / 3600,
                share=usage.recent / total if total else 0.0,
            )
        )
    return found


def _limits(settings: Settings) -> Limits:
    return Limits(
        running_slots=settings.user_running_slots,
        queued_jobs=settings.user_queued_jobs,
        week_slot_hours=settings.user_week_hours,
    )


def _users_in(state: State) -> set[str]:
    jobs = {job.user for job in state.waiting} | {job.user for job in state.running}
    return jobs | state.usage.keys()


def _shown(actor: Actor, job: Job | None) -> str:
    return job.id if job is not None and may_see(actor, job) else PRIVATE


def _reason(decision: Decision) -> str:
    return decision.reason or SOON


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
