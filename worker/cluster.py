"""The workers that there are, this one first, with the slots that they have."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from redis import Redis, RedisError

from service.store.places import Worker
from service.store.settings import Settings
from service.store.workers import (
    Announced,
    Embedding,
    SlotView,
    announced_workers,
    for_jobs,
    schedulable,
    worker_name,
)
from worker.address import node_address
from worker.gpus import Gpu, find_gpus
from worker.slots import find_slots
from worker.use import use_of_machine

log = logging.getLogger(__name__)


def only_this_worker(settings: Settings) -> list[Worker]:
    """This process, as if nobody else were there."""
    return [schedulable(worker_name(), _slots(settings, (), find_gpus()), node_address(settings))]


def all_workers(redis: Redis, settings: Settings) -> list[Worker]:
    """This process with its slots as they are now, then the others as they announced themselves."""
    announced = _announced(redis)
    slots = _slots(settings, announced, find_gpus())
    this = schedulable(worker_name(), slots, node_address(settings))
    return [this, *(worker for worker in for_jobs(announced) if worker.name != this.name)]


def job_resources(redis: Redis, settings: Settings) -> dict[str, Any]:
    """What this process announces if it runs jobs."""
    gpus = find_gpus()
    slots = _slots(settings, _announced(redis), gpus)
    address = node_address(settings)
    return {"slots": [slot._asdict() for slot in slots], "use": _use(gpus), "address": address}


def embed_resources(done: Callable[[], Embedding]) -> dict[str, Any]:
    """What this process announces if it embeds: it does so on the first GPU that it may use.

    Args:
        done: returns what it has done since its start.
    """
    gpus = find_gpus()
    embedding = done()._asdict()
    return {"gpus": [gpu.uuid for gpu in gpus[:1]], "use": _use(gpus), "embedding": embedding}


def _slots(
    settings: Settings, announced: Iterable[Announced], gpus: Sequence[Gpu]
) -> list[SlotView]:
    embedding = {uuid for worker in announced for uuid in worker.gpus}
    return find_slots(gpus, settings, embedding)


def _use(gpus: Sequence[Gpu]) -> dict[str, Any]:
    use = use_of_machine(gpus)
    return {**use._asdict(), "gpus": [gpu._asdict() for gpu in use.gpus]}


def _announced(redis: Redis) -> list[Announced]:
    """All that announce themselves; none if Redis is away."""
    try:
        return announced_workers(redis)
    except RedisError as error:
        log.warning("cannot see other workers: %s", error)
        return []
