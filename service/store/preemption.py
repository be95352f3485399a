"""Which running jobs should leave for more important ones: pure, as `service.store.scheduling`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from service.store.places import Running, Waiting, Worker, holders
from service.store.scheduling import LOW, Board, State, class_of, rank


def preempt(state: State) -> list[str]:
    """Ids of running jobs of low priority that should leave for waiting ones of a higher.

    A job keeps its place for its first minutes, and for good if it has waited for it until its
    class was no less than the other's.
    """
    candidates = sum(_could_leave(state, one) for one in state.running)
    if not candidates:
        return []
    board = Board(state)
    blocked = [d.job for d in map(board.decide, rank(state)) if d.worker is None]
    chosen: list[Running] = []
    promised: dict[str, int] = {}
    for job in blocked:
        if len(chosen) == candidates:
            break  # however many jobs wait, there is nobody more to ask
        if job.priority == LOW or board.limit(job):
            continue
        able = holders(job, state.workers)
        networks = {
            worker.network: [w for w in able if w.network == worker.network] for worker in able
        }
        places = [
            place
            for workers in networks.values()
            if (place := _make_rooms(board, workers, job, chosen, promised)) is not None
        ]
        if places:
            victims, slots = min(places, key=lambda place: len(place.victims))
            chosen += victims
            promised |= dict.fromkeys(slots, job.memory)
    return [victim.id for victim in chosen]


class _Place(NamedTuple):
    """Who would have to leave, and the slots that are then free."""

    victims: list[Running]
    slots: set[str]


def _make_rooms(
    board: Board,
    workers: Sequence[Worker],
    job: Waiting,
    chosen: Sequence[Running],
    promised: Mapping[str, int],
) -> _Place | None:
    """Whom to ask to leave so that each node of `job` finds a place on one of the workers.

    None if there are not enough. `promised` is the memory of those for whom room was made already,
    by slot. Each node goes where the fewest more would have to leave, and among those to the worker
    with the fewest slots: a larger one may span those of several others.
    """
    victims: list[Running] = []
    slots: set[str] = set()
    for _ in range(job.nodes):
        going, kept = [*chosen, *victims], {**promised, **dict.fromkeys(slots, job.memory)}
        found = [
            (worker, place)
            for worker in workers
            if (place := _make_room(board, worker, job, going, kept))
        ]
        if not found:
            return None
        taken, place = min(found, key=lambda one: (len(one[1].victims), len(one[0].slots)))
        victims += place.victims
        slots |= place.slots
        workers = [worker for worker in workers if worker.apart_from(taken)]
    return _Place(victims, slots)


def _make_room(
    board: Board,
    worker: Worker,
    job: Waiting,
    chosen: Sequence[Running],
    promised: Mapping[str, int],
) -> _Place | None:
    """Whom to ask to leave so that a node of `job` finds a place on the worker.

    None if there are not enough. Who has run for the shortest time leaves first.
    """
    needed = worker.needs(job)
    able = {slot.id for slot in worker.slots if worker.shared or slot.total >= job.memory}
    going = [*_leaving(board.state), *chosen]
    leaving = {slot for one in going for slot in one.slots}
    slots = (set(board.usable(worker, job)) | (leaving & able)) - promised.keys()
    victims: list[Running] = []
    others = sorted(_may_leave(board.state, job, chosen), key=lambda one: (one.started_at, one.id))
    while len(slots) < needed or not _has_memory(board, worker, job, [*going, *victims], promised):
        if not others:
            return None
        one = others.pop()
        if gained := able.intersection(one.slots) - slots:
            victims.append(one)
            slots |= gained
    return _Place(victims, set(sorted(slots)[:needed]))


def _has_memory(
    board: Board,
    worker: Worker,
    job: Waiting,
    going: Sequence[Running],
    promised: Mapping[str, int],
) -> bool:
    """Whether the memory that a worker's slots share is enough for a node once others are gone."""
    if not worker.shared:
        return True
    ids = set(worker.ids)
    freed = sum(len(ids.intersection(one.slots)) * one.memory for one in going)
    kept = sum(memory for slot, memory in promised.items() if slot in ids)
    left = worker.slots[0].total - board.promised[worker.name] - kept + freed
    return worker.needs(job) * job.memory <= left


def _leaving(state: State) -> Iterator[Running]:
    return (job for job in state.running if job.leaving)


def _may_leave(state: State, job: Waiting, chosen: Sequence[Running]) -> Iterator[Running]:
    rules, wanted = state.rules, class_of(job, state)
    for one in state.running:
        earned = one.priority + int((one.started_at - one.queued_at) // rules.aging_seconds)
        if _could_leave(state, one) and earned < wanted and one not in chosen:
            yield one


def _could_leave(state: State, one: Running) -> bool:
    """Whether a job could be asked to leave for one that is important enough."""
    settled = state.now - one.started_at >= state.rules.preempt_after_seconds
    return one.priority == LOW and settled and not one.leaving
