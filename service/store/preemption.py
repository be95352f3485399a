"""Which running jobs should leave for more important ones: pure, as `service.store.scheduling`."""

from collections.abc import Iterator, Sequence

from service.store.scheduling import LOW, Board, Running, State, Waiting, Worker, class_of, rank


def preempt(state: State) -> list[str]:
    """Ids of running jobs of low priority that should leave for waiting ones of a higher.

    A job keeps its place for its first minutes, and for good if it has waited for it until its
    class was no less than the other's.
    """
    if all(job.priority > LOW for job in state.running):
        return []
    board = Board(state)
    blocked = [d.job for d in map(board.decide, rank(state)) if d.worker is None]
    chosen: list[Running] = []
    promised: set[str] = set()
    for job in blocked:
        if job.priority == LOW or board.limit(job):
            continue
        places = [
            place
            for worker in state.workers
            if worker.could_hold(job)
            and (place := _make_room(board, worker, job, chosen, promised)) is not None
        ]
        if places:
            victims, slots = min(places, key=lambda place: len(place[0]))
            chosen += victims
            promised |= slots
    return [victim.id for victim in chosen]


def _make_room(
    board: Board, worker: Worker, job: Waiting, chosen: Sequence[Running], promised: set[str]
) -> tuple[list[Running], set[str]] | None:
    """Whom to ask to leave so that `job` finds a place on the worker, and the slots of the place.

    None if there are not enough. Who has run for the shortest time leaves first.
    """
    needed = worker.needs(job)
    able = {slot.id for slot in worker.slots if worker.shared or slot.total >= job.memory}
    leaving = {slot for one in (*_leaving(board.state), *chosen) for slot in one.slots}
    slots = (set(board.usable(worker, job)) | (leaving & able)) - promised
    victims: list[Running] = []
    for one in sorted(_may_leave(board.state, job, chosen), key=lambda one: -one.started_at):
        if len(slots) >= needed:
            break
        if gained := able.intersection(one.slots) - slots:
            victims.append(one)
            slots |= gained
    return (victims, set(sorted(slots)[:needed])) if len(slots) >= needed else None


def _leaving(state: State) -> Iterator[Running]:
    return (job for job in state.running if job.leaving)


def _may_leave(state: State, job: Waiting, chosen: Sequence[Running]) -> Iterator[Running]:
    rules, wanted = state.rules, class_of(job, state)
    for one in state.running:
        earned = one.priority + int((one.started_at - one.queued_at) // rules.aging_seconds)
        settled = state.now - one.started_at >= rules.preempt_after_seconds
        gone = one.leaving or one in chosen
        if one.priority == LOW and settled and earned < wanted and not gone:
            yield one
