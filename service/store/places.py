"""Jobs, the slots of workers, and which of them a job could be on: plain values for the policy in
`service.store.scheduling`. Times are Unix seconds, memory is bytes.
"""

from collections.abc import Iterable, Sequence
from itertools import tee
from math import inf
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Waiting(NamedTuple):
    """A queued job; it needs `memory` bytes on each of its slots, and `seconds` in all.

    Its slots are divided among as many workers as it has `nodes`.
    """

    id: str
    user: str
    priority: int
    slots: int
    queued_at: float
    memory: int = 0
    seconds: float | None = None
    nodes: int = 1


class Running(NamedTuple):
    """A job that holds slots; `leaving` if it was asked to go."""

    id: str
    user: str
    priority: int
    slots: tuple[str, ...]
    queued_at: float
    started_at: float
    memory: int = 0
    ends_at: float | None = None
    leaving: bool = False


class Slot(NamedTuple):
    """A place for one process of a job; memory for jobs: free now, and if it were empty."""

    id: str
    free: float = inf
    total: float = inf


class Worker(NamedTuple):
    """Slots that one node of a job can span; `shared` if all use one memory, as CPU slots do.

    Workers on one machine may name the same slots. A job's nodes are on workers of one `network`,
    which reach each other.
    """

    name: str
    slots: tuple[Slot, ...]
    shared: bool = False
    network: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """The slots' ids."""
        return tuple(slot.id for slot in self.slots)

    def needs(self, job: Waiting) -> int:
        """How many slots a node of the job takes here: processes share CPU slots, but not GPUs."""
        each = job.slots // job.nodes
        return min(each, len(self.slots)) if self.shared else each

    def apart_from(self, other: "Worker") -> bool:
        """Whether the two can be nodes of one job: they name no slot both."""
        return not set(self.ids).intersection(other.ids)

    def could_hold(self, job: Waiting) -> bool:
        """Whether a node of the job would fit if nothing else ran."""
        needed = max(self.needs(job), 1)
        if self.shared:
            return bool(self.slots) and needed * job.memory <= self.slots[0].total
        return sum(slot.total >= job.memory for slot in self.slots) >= needed


class Share(NamedTuple):
    """The slots of a worker on which a node of a job runs."""

    worker: str
    slots: tuple[str, ...]


def together(job: Waiting, places: Iterable[tuple[Worker, T]]) -> list[tuple[Worker, T]]:
    """The first places, one for each of the job's nodes, on workers that can be nodes of one job;
    none if there are not enough.
    """
    first, again = tee(places)
    # A worker that comes first may span the slots of several others that would have been enough.
    return _apart(job, first) or _apart(job, sorted(again, key=lambda place: len(place[0].slots)))


def _apart(job: Waiting, places: Iterable[tuple[Worker, T]]) -> list[tuple[Worker, T]]:
    networks: dict[str, list[tuple[Worker, T]]] = {}
    for worker, place in places:
        chosen = networks.setdefault(worker.network, [])
        if all(worker.apart_from(other) for other, _ in chosen):
            chosen.append((worker, place))
            if len(chosen) == job.nodes:
                return chosen
    return []


def holders(job: Waiting, workers: Sequence[Worker]) -> list[Worker]:
    """The workers that could hold a node of the job if nothing else ran; none if too few could."""
    able = [worker for worker in workers if worker.could_hold(job)]
    return able if together(job, ((worker, None) for worker in able)) else []


def too_large(job: Waiting, workers: Sequence[Worker]) -> str:
    """Why no worker could run the job though nothing else ran; names what the largest has."""
    if job.nodes > 1:
        return _too_many_nodes(job, workers)
    most = max((len(worker.slots) for worker in workers), default=0)
    if not any(len(worker.slots) >= worker.needs(job) > 0 for worker in workers):
        return f"needs {job.slots} slots, and the largest worker has {most}"
    memory = max((slot.total for worker in workers for slot in worker.slots), default=0.0)
    each = f"needs {gibibytes(job.memory)} on each of {job.slots} slots"
    return f"{each}, and the largest slot has {gibibytes(memory)}"


def _too_many_nodes(job: Waiting, workers: Sequence[Worker]) -> str:
    able = [worker for worker in workers if worker.could_hold(job)]
    each = job.slots // job.nodes
    slots = "a slot" if each == 1 else f"{each} slots"
    memory = f" with {gibibytes(job.memory)}" if job.memory else ""
    where = f"on each of {job.nodes} workers that reach each other"
    return f"needs {slots}{memory} {where}; {len(able)} could hold as much"


def gibibytes(memory: float) -> str:
    """Memory for people to read."""
    return f"{memory / 2**30:.1f} GiB"
