"""Which job goes next, and on which slots: pure functions of plain values, without any I/O.

Workers, API and the simulated month use the same. Times are Unix seconds, memory is bytes, usage is
slot-seconds. The rules, in the order in which they count:

1. Class: a job's priority, and one class more for each `aging_seconds` that it has waited.
2. Share: within a class, the user who has used least lately goes first; then who was first.
3. Patience: the first job in rank that finds no place and has waited for `patience_seconds`, or
   for which others are being asked to leave, has slots reserved where it can start soonest; others
   may use them only if they end before that.
4. Limits: what would take its user over a limit is passed over.

A job of several nodes takes as many slots on each of as many workers, on all of them at once or on
none; all rules hold for it as for any other.

What runs is asked to leave for others by `service.store.preemption`; `service.store.forecast` looks
ahead.
"""

from collections.abc import Iterator, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from math import inf, log
from typing import NamedTuple

from service.store.places import (
    Running,
    Share,
    Waiting,
    Worker,
    gibibytes,
    holders,
    together,
    too_large,
)

LOW, NORMAL, HIGH = 0, 1, 2

AHEAD_SECONDS = 3600.0
"""What runs counts as used for this long ahead as well: otherwise a user who has used nothing yet
would take every free slot in one moment."""

UNKNOWN_SECONDS = 3600.0
"""How long a job is thought to go on that has not said."""

LATE_SECONDS = 60.0
"""How long a job is thought to go on that should have ended by now."""

WEEK_SECONDS = 7 * 24 * 3600.0


class Rules(NamedTuple):
    """The settings of the policy; a limit of None is none."""

    aging_seconds: float = 24 * 3600.0
    half_life_seconds: float = 24 * 3600.0
    patience_seconds: float = 600.0
    preempt_after_seconds: float = 300.0
    user_slots: int | None = None
    user_week_seconds: float | None = None


class Usage(NamedTuple):
    """What a user has used up to now: decayed with the half-life, and in the last seven days."""

    recent: float = 0.0
    week: float = 0.0


class Start(NamedTuple):
    """When a user's last job of this priority and size was started."""

    priority: int
    slots: int
    time: float


class State(NamedTuple):
    """All that a decision depends on."""

    now: float
    waiting: Sequence[Waiting]
    running: Sequence[Running]
    workers: Sequence[Worker]
    usage: Mapping[str, Usage] = {}
    starts: Mapping[str, Sequence[Start]] = {}
    rules: Rules = Rules()


class Decision(NamedTuple):
    """Start the job on these shares, one for each node; or why it has to wait."""

    job: Waiting
    shares: tuple[Share, ...] = ()
    reason: str = ""

    @property
    def worker(self) -> str | None:
        """The worker of the first node, which claims the job; None if it has to wait."""
        return self.shares[0].worker if self.shares else None

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots of all nodes."""
        return tuple(slot for share in self.shares for slot in share.slots)


def used(slots: int, start: float, end: float, now: float, half_life: float) -> float:
    """Slot-seconds from `start` to `end`, those of one half-life ago counting half."""
    scale = half_life / log(2)
    return slots * scale * (2 ** ((end - now) / half_life) - 2 ** ((start - now) / half_life))


def class_of(job: Waiting, state: State) -> int:
    """Priority, raised for waiting: each `aging_seconds` from low to normal.

    Further up, what counts is how long the user has had no turn: since a job of theirs was started
    that is as large and not more important. So the rest of a sweep does not overtake everybody
    else while the sweep goes on, and no job waits for ever below a stream of more important ones.
    """
    since = max(
        (
            start.time
            for start in state.starts.get(job.user, ())
            if start.slots >= job.slots and start.priority <= job.priority
        ),
        default=job.queued_at,
    )
    turns = int(max(state.now - max(since, job.queued_at), 0) // state.rules.aging_seconds)
    aged = int(max(state.now - job.queued_at, 0) // state.rules.aging_seconds)
    return max(min(job.priority + aged, NORMAL), job.priority + turns)


def rank(state: State) -> Iterator[Waiting]:
    """The waiting jobs, who should go first coming first; each counts against those after it."""
    lines: dict[str, list[tuple[int, str, Waiting]]] = {}
    for job in state.waiting:
        lines.setdefault(job.user, []).append((-class_of(job, state), job.id, job))
    taken = running_slots(state)
    heap = []
    for user, line in lines.items():
        line.sort(reverse=True)  # the first one last, to be popped
        recent = state.usage.get(user, Usage()).recent
        heap.append((line[-1][0], recent + AHEAD_SECONDS * taken.get(user, 0), line[-1][1], user))
    heapify(heap)
    while heap:
        _, share, _, user = heap[0]
        job = lines[user].pop()[2]
        yield job
        if line := lines[user]:
            share += AHEAD_SECONDS * job.slots
            heapreplace(heap, (line[-1][0], share, line[-1][1], user))
        else:
            heappop(heap)


def decide(state: State) -> Iterator[Decision]:
    """Decide on every waiting job, in the order of their rank."""
    board = Board(state)
    for job in rank(state):
        yield board.decide(job)


def place(state: State) -> Iterator[Decision]:
    """Those of `decide` that start a job, without looking further than there are free slots."""
    board = Board(state)
    if not board.free:
        return
    for job in rank(state):
        decision = board.decide(job)
        if decision.worker is not None:
            yield decision
            if not board.free:
                return


class Reservation(NamedTuple):
    """Slots kept for a job, and when it is thought to start."""

    job: str
    slots: frozenset[str]
    start: float


class Board:
    """The free slots and users' running slots, as the decisions so far leave them."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.busy = {slot: job for job in state.running for slot in job.slots}
        self.free = {s.id for w in state.workers for s in w.slots} - self.busy.keys()
        self.running = running_slots(state)
        # Of workers whose slots share one memory: what their jobs were promised, in all and now.
        self.promised = {w.name: self._promised(w) for w in state.workers if w.shared}
        self.promised_now = dict.fromkeys(self.promised, 0)
        self.reservation: Reservation | None = None

    def decide(self, job: Waiting) -> Decision:
        """Take slots for the job, or say why it gets none."""
        if reason := self.limit(job):
            return Decision(job, reason=reason)
        places = ((worker, self._find(worker, job)) for worker in self.state.workers)
        if chosen := together(job, (place for place in places if place[1])):
            self._take(job, chosen)
            return Decision(job, tuple(Share(worker.name, slots) for worker, slots in chosen))
        able = holders(job, self.state.workers)
        self._reserve(job, able)
        return Decision(job, reason=self._wait(job, able))

    def limit(self, job: Waiting) -> str:
        """Which limit of its user holds the job back; empty if none."""
        rules, running = self.state.rules, self.running.get(job.user, 0)
        if rules.user_slots is not None and running + job.slots > rules.user_slots:
            return f"its user runs on {running} slots, and may on {rules.user_slots}"
        week = self.state.usage.get(job.user, Usage()).week
        if rules.user_week_seconds is not None and week >= rules.user_week_seconds:
            hours, limit = week / 3600, rules.user_week_seconds / 3600
            return f"its user has used {hours:.1f} slot-hours in seven days, and may {limit:g}"
        return ""

    def usable(self, worker: Worker, job: Waiting) -> list[str]:
        """Free slots on which the job may be now, those with the least memory first."""
        slots = [s for s in worker.slots if s.id in self.free and self._may_use(s.id, job)]
        if not worker.shared:
            slots = [slot for slot in slots if slot.free >= job.memory]
        return [slot.id for slot in sorted(slots, key=lambda slot: (slot.free, slot.id))]

    def _find(self, worker: Worker, job: Waiting) -> tuple[str, ...]:
        needed = worker.needs(job)
        slots = self.usable(worker, job)
        if not needed or len(slots) < needed:
            return ()
        if worker.shared:
            memory, (_, free, total) = needed * job.memory, worker.slots[0]
            if memory > min(
                free - self.promised_now[worker.name], total - self.promised[worker.name]
            ):
                return ()
        return tuple(slots[:needed])

    def _may_use(self, slot: str, job: Waiting) -> bool:
        kept = self.reservation
        if kept is None or slot not in kept.slots or job.id == kept.job:
            return True
        return job.seconds is not None and self.state.now + job.seconds <= kept.start

    def _take(self, job: Waiting, chosen: Sequence[tuple[Worker, tuple[str, ...]]]) -> None:
        taken = tuple(slot for _, slots in chosen for slot in slots)
        self.free -= set(taken)
        self.busy |= dict.fromkeys(taken, start(job, taken, self.state.now))
        self.running[job.user] = self.running.get(job.user, 0) + len(taken)
        for worker, slots in chosen:
            if worker.shared:
                self.promised[worker.name] += len(slots) * job.memory
                self.promised_now[worker.name] += len(slots) * job.memory

    def _reserve(self, job: Waiting, able: Sequence[Worker]) -> None:
        late = self.state.now - job.queued_at >= self.state.rules.patience_seconds
        called = job.priority > LOW and any(running.leaving for running in self.state.running)
        if self.reservation is None and (late or called):
            found = [(worker, self._earliest(worker, job)) for worker in able]
            found = sorted(
                (place for place in found if place[1].start < inf), key=lambda place: place[1].start
            )
            if best := [kept for _, kept in together(job, found)]:
                slots = frozenset[str]().union(*(kept.slots for kept in best))
                self.reservation = Reservation(job.id, slots, max(kept.start for kept in best))

    def _wait(self, job: Waiting, able: Sequence[Worker]) -> str:
        if not self.state.workers:
            return "no worker is running"
        if not able:
            return too_large(job, self.state.workers)
        if self.reservation is not None and self.reservation.job == job.id:
            return f"slots are kept for it as they become free; it needs {job.slots}"
        room = ((w, None) for w in able if len(self.free & set(w.ids)) >= w.needs(job))
        if together(job, room):
            if self.reservation is not None:
                return "what is free is kept for a job that waits for more slots"
            return f"needs {gibibytes(job.memory)} on each slot, and less is free now"
        return f"waits for {job.slots} free slots" if job.slots > 1 else "waits for a free slot"

    def _earliest(self, worker: Worker, job: Waiting) -> Reservation:
        """The slots of the worker that will be free first, and when."""
        now, times = self.state.now, []
        for slot in worker.slots:
            holder = self.busy.get(slot.id)
            memory = slot.free if holder is None else slot.total
            if worker.shared or memory >= job.memory:
                times.append((expected_end(holder, now) if holder else now, slot.id))
        first = sorted(times)[: worker.needs(job)]
        begin = first[-1][0] if len(first) == worker.needs(job) else inf
        return Reservation(job.id, frozenset(slot for _, slot in first), begin)

    def _promised(self, worker: Worker) -> int:
        slots = set(worker.ids)
        return sum(len(slots.intersection(job.slots)) * job.memory for job in self.state.running)


def start(job: Waiting, slots: tuple[str, ...], now: float) -> Running:
    """The job as it runs once it has been started."""
    ends = None if job.seconds is None else now + job.seconds
    about = (job.id, job.user, job.priority, slots, job.queued_at, now, job.memory)
    return Running(*about, ends_at=ends)


def expected_end(job: Running, now: float) -> float:
    """When a running job is thought to end; one that is late, or leaving, takes another minute."""
    if job.leaving:
        return now + LATE_SECONDS
    expected = now + UNKNOWN_SECONDS if job.ends_at is None else job.ends_at
    return max(expected, now + LATE_SECONDS)


def running_slots(state: State) -> dict[str, int]:
    """How many slots each user's jobs run on."""
    slots: dict[str, int] = {}
    for job in state.running:
        slots[job.user] = slots.get(job.user, 0) + len(job.slots)
    return slots
