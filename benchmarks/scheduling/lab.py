"""The lab by events: a job comes, ends, or leaves to make room."""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.scheduling.account import Account
from benchmarks.scheduling.month import DAY, DAYS, GPUS, Submission
from service.store.places import Running, Slot, Waiting, Worker
from service.store.preemption import preempt
from service.store.scheduling import Board, Decision, Rules, Start, State, Usage, place, start, used

Policy = Callable[[State], Iterable[Decision]]

_CHECKPOINT_SECONDS, _RESTART_SECONDS, _LOOK_SECONDS = 20.0, 60.0, 600.0
_SERVER = [Worker("server", tuple(Slot(f"gpu-{number}") for number in range(GPUS)))]


class Served(NamedTuple):
    """A job, and how long it waited for its first start."""

    job: Submission
    waited: float


class Outcome(NamedTuple):
    """What a policy made of the month."""

    served: Sequence[Served]
    preemptions: int
    account: Account


def ours(state: State) -> Iterator[Decision]:
    """The service's policy; with it goes preemption."""
    return place(state)


def fifo(state: State) -> Iterator[Decision]:
    """The oldest job goes first, and whoever came after it waits until it has started."""
    board = Board(state)
    for job in state.waiting:
        decision = board.decide(job)
        if decision.worker is None:
            return
        yield decision


def first_fit(state: State) -> Iterator[Decision]:
    """The oldest job that finds enough free slots goes first."""
    board = Board(state._replace(rules=Rules(patience_seconds=math.inf)))
    for job in state.waiting:
        if not board.free:
            return
        decision = board.decide(job)
        if decision.worker is not None:
            yield decision


class Lab:
    """Runs a month's jobs under one policy."""

    def __init__(self, jobs: Sequence[Submission], policy: Policy) -> None:
        self.policy, self.rules, self.now = policy, Rules(), 0.0
        self.jobs = {f"job-{number:05}": job for number, job in enumerate(jobs)}
        self.left = {job_id: job.seconds for job_id, job in self.jobs.items()}
        self.waiting: dict[str, Waiting] = {}
        self.running: dict[str, Running] = {}
        self.first_starts: dict[str, float] = {}
        self.last_starts: dict[str, dict[tuple[int, int], float]] = defaultdict(dict)
        self.spent: dict[str, float] = defaultdict(float)  # decayed; without what still runs
        self.account, self.preemptions = Account(), 0
        self._events: list[tuple[float, int, Callable[[str, float], None], str, float]] = []
        self._count = 0
        for job_id, job in self.jobs.items():
            self._at(job.at, self._come, job_id)
        for tick in range(1, int(DAYS * DAY / _LOOK_SECONDS)):
            self._at(tick * _LOOK_SECONDS, self._look)

    def run(self) -> Outcome:
        """Run until the last job has ended."""
        while self._events:
            time, _, event, job_id, begun = heapq.heappop(self._events)
            self.account.add(time - self.now, self.waiting.values(), self.running.values())
            self._fade(time - self.now)
            self.now = time
            event(job_id, begun)
            if self.waiting and sum(len(job.slots) for job in self.running.values()) < GPUS:
                for decision in list(self.policy(self._state())):
                    self._start(decision)
        served = [Served(job, self.first_starts[name] - job.at) for name, job in self.jobs.items()]
        return Outcome(served, self.preemptions, self.account)

    def _come(self, job_id: str, _begun: float) -> None:
        job = self.jobs[job_id]
        expected = job.expected * self.left[job_id] / job.seconds
        about = (job_id, job.user, job.priority, job.slots, self.now)
        self.waiting[job_id] = Waiting(*about, seconds=expected)

    def _start(self, decision: Decision) -> None:
        job = self.waiting.pop(decision.job.id)
        self.running[job.id] = start(job, decision.slots, self.now)
        self.first_starts.setdefault(job.id, self.now)
        self.last_starts[job.user][job.priority, job.slots] = self.now
        self._at(self.now + self.left[job.id], self._end, job.id, self.now)

    def _end(self, job_id: str, begun: float) -> None:
        if job_id in self.running and self.running[job_id].started_at == begun:
            self._free(job_id)

    def _look(self, _job_id: str, _begun: float) -> None:
        """Ask jobs to make room, as the reconciler does."""
        if self.policy is ours and self.waiting:
            for job_id in preempt(self._state()):
                job = self.running[job_id] = self.running[job_id]._replace(leaving=True)
                self._at(self.now + _CHECKPOINT_SECONDS, self._leave, job_id, job.started_at)

    def _leave(self, job_id: str, begun: float) -> None:
        if job_id in self.running and self.running[job_id].started_at == begun:
            self.preemptions += 1
            self.left[job_id] += _RESTART_SECONDS - (self.now - begun)
            self._free(job_id)
            self._come(job_id, begun)

    def _free(self, job_id: str) -> None:
        job = self.running.pop(job_id)
        self.spent[job.user] += self._used(job)

    def _used(self, job: Running) -> float:
        life = self.rules.half_life_seconds
        return used(len(job.slots), job.started_at, self.now, self.now, life)

    def _fade(self, seconds: float) -> None:
        factor = 2 ** (-seconds / self.rules.half_life_seconds)
        for user in self.spent:
            self.spent[user] *= factor

    def _state(self) -> State:
        usage = defaultdict(float, self.spent)
        for job in self.running.values():
            usage[job.user] += self._used(job)
        starts = {
            user: [Start(*about, time) for about, time in latest.items()]
            for user, latest in self.last_starts.items()
        }
        return State(
            self.now,
            list(self.waiting.values()),
            list(self.running.values()),
            _SERVER,
            {user: Usage(seconds) for user, seconds in usage.items()},
            starts,
            self.rules,
        )

    def _at(
        self,
        time: float,
        event: Callable[[str, float], None],
        job_id: str = "",
        begun: float = 0.0,
    ) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, event, job_id, begun))
