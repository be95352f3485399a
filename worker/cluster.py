"""The workers that there are, this one first, with the slots that they have."""

import logging
from collections.abc import Iterable
from typing import Any

from redis import Redis, RedisError

from service.store.scheduling import Worker
from service.store.settings import Settings
from service.store.workers import (
    Announced,
    SlotView,
    announced_workers,
    for_jobs,
    schedulable,
    worker_name,
)
from worker.gpus import find_gpus
from worker.slots import find_slots

log = logging.getLogger(__name__)


def only_this_worker(settings: Settings) -> list[Worker]:
    """This process, as if nobody else were there."""
    return [schedulable(worker_name(), _slots(settings, ()))]


def all_workers(redis: Redis, settings: Settings) -> list[Worker]:
    """This process with its slots as they are now, then the others as they announced themselves."""
    announced = _announced(redis)
    this = schedulable(worker_name(), _slots(settings, announced))
    return [this, *(worker for worker in for_jobs(announced) if worker.name != this.name)]


def job_resources(redis: Redis, settings: Settings) -> dict[str, Any]:
    """What this process announces if it runs jobs."""
    return {"slots": [slot._asdict() for slot in _slots(settings, _announced(redis))]}


def embed_resources() -> dict[str, Any]:
    """What this process announces if it embeds: it does so on the first GPU that it may use."""
    return {"gpus": [gpu.uuid for gpu in find_gpus()[:1]]}


def _slots(settings: Settings, announced: Iterable[Announced]) -> list[SlotView]:
    embedding = {uuid for worker in announced for uuid in worker.gpus}
    return find_slots(find_gpus(), settings, embedding)


def _announced(redis: Redis) -> list[Announced]:
    """All that announce themselves; none if Redis is away."""
    try:
        return announced_workers(redis)
    except RedisError as error:
        log.warning("cannot see other workers: %s", error)
        return []
