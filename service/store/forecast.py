"""Looking ahead: when waiting jobs will start. Pure, as `service.store.scheduling`."""

from collections.abc import Sequence
from itertools import islice

from service.store.places import Slot, Worker
from service.store.scheduling import Decision, State, Usage, expected_end, place, rank, start

_JOBS, _ENDS = 300, 200
"""How many jobs, the first in rank, and how many ends of jobs are foreseen."""


def forecast(state: State) -> dict[str, float]:
    """When waiting jobs will start, as far as can be foreseen.

    As if nobody else came, everybody took as long as expected, and usage did not fade meanwhile.
    """
    starts: dict[str, float] = {}
    state = state._replace(waiting=list(islice(rank(state), _JOBS)))
    for _ in range(_ENDS):
        decisions = list(place(state))
        starts |= {decision.job.id: state.now for decision in decisions}
        state = _started(state, decisions)
        if not state.waiting or not state.running:
            break
        state = _later(state, min(expected_end(job, state.now) for job in state.running))
    return starts


def _started(state: State, decisions: Sequence[Decision]) -> State:
    begun = {decision.job.id for decision in decisions}
    running = [start(one.job, one.slots, state.now) for one in decisions]
    waiting = [job for job in state.waiting if job.id not in begun]
    return state._replace(waiting=waiting, running=[*state.running, *running])


def _later(state: State, until: float) -> State:
    """The state at a later time, when some of what runs has ended."""
    usage = dict(state.usage)
    for job in state.running:
        spent = len(job.slots) * (until - state.now)
        before = usage.get(job.user, Usage())
        usage[job.user] = Usage(before.recent + spent, before.week + spent)
    ends = {job.id: expected_end(job, state.now) for job in state.running}
    running = [job._replace(ends_at=ends[job.id]) for job in state.running if ends[job.id] > until]
    freed = {s for job in state.running if ends[job.id] <= until for s in job.slots}
    workers = [_emptied(worker, freed) for worker in state.workers]
    return state._replace(now=until, running=running, usage=usage, workers=workers)


def _emptied(worker: Worker, freed: set[str]) -> Worker:
    def empty(slot: Slot) -> Slot:
        return slot._replace(free=slot.total) if worker.shared or slot.id in freed else slot

    return worker._replace(slots=tuple(map(empty, worker.slots)))
