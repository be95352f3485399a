"""What a job needs of the machine: slots, memory on each, and time, as far as is known."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from paka.config import TrainConfig
from paka.data.count import count_images
from paka.estimate import Estimate, estimate
from service.auth.actor import Actor
from service.deps import Resources
from service.errors import ApiError, invalid_field
from service.store import measurements
from service.store.models import JobKind, Priority
from service.store.places import Waiting, Worker, holders, too_large
from service.store.workers import Announced, announced_workers, for_jobs

_CUDA_CONTEXT_BYTES = 2**29
"""What a process takes of a GPU beside its tensors."""


class Needs(NamedTuple):
    """Slots, bytes on each and seconds in all, None where nobody knows; and on how many workers."""

    slots: int
    memory_bytes: int | None = None
    seconds: float | None = None
    nodes: int = 1


def needs_of(
    resources: Resources, kind: JobKind, config: dict[str, Any], slots: int | None
) -> Needs:
    """Return what a job of this config needs.

    A guess of memory that rests on no measurement of this kind of device is none: it would only
    keep the job from a slot on which it might run. One of the time is better than none.

    Args:
        slots: what its user asks for, if anything.

    Raises:
        ApiError: 422; no worker has so many slots.
    """
    announced = known_workers(resources)
    check_slots(for_jobs(announced), resources.settings.user_running_slots, config, slots)
    wanted = wanted_slots(config, slots)
    if kind != "train":
        return Needs(wanted)
    device = device_of(announced)
    with resources.database.read() as session:
        found = estimate_training(session, config, device)
    memory = None if found.basis == "model" else memory_needed(found, device)
    return Needs(wanted, memory, found.seconds, wanted_nodes(config))


def wanted_slots(config: dict[str, Any], asked: int | None) -> int:
    """How many slots a job holds: what its user asks for, or one for each process."""
    return asked or int(config.get("runtime", {}).get("processes", 1))


def wanted_nodes(config: dict[str, Any]) -> int:
    """Among how many workers a job's slots are divided."""
    return int(config.get("runtime", {}).get("nodes", 1))


def estimate_training(session: Session, config: dict[str, Any], device: str) -> Estimate:
    """Return what a training will take on this kind of device, by what was measured on it."""
    complete = TrainConfig.model_validate(config)
    images = count_images(Path(complete.dataset), sys.maxsize)
    return estimate(complete, images.estimate, device, measurements.latest(session, device))


def memory_needed(found: Estimate, device: str) -> int:
    """Bytes that a slot of this kind of device must have for it."""
    return found.memory_bytes + (0 if device == "cpu" else _CUDA_CONTEXT_BYTES)


def known_workers(resources: Resources) -> list[Announced]:
    """The workers that announce themselves; none if Redis is away."""
    from redis import RedisError

    try:
        return announced_workers(resources.redis)
    except RedisError:
        return []


def device_of(workers: list[Announced]) -> str:
    """The kind of device that jobs run on; `cpu` if no worker has said."""
    return next((slot.device for one in workers for slot in one.slots), "cpu")


def check_slots(
    workers: Sequence[Worker], limit: int | None, config: dict[str, Any], asked: int | None
) -> None:
    """Raise 422 if more slots are wanted than a user may have, or than any known worker has (of a
    job of several nodes: as many workers), or fewer than the job has processes: each takes the
    memory of a slot.

    Processes may share CPU slots; slots that were asked for may not be shared.
    """
    field, wanted = "runtime.processes" if asked is None else "slots", wanted_slots(config, asked)
    if wanted < (processes := wanted_slots(config, None)):
        message = f"{wanted} are too few for runtime.processes {processes}: ask for one for each"
        raise invalid_field(field, message, "too_few_slots")
    nodes = wanted_nodes(config)
    if wanted % nodes:
        message = f"{wanted} is not a multiple of runtime.nodes {nodes}: each has as many slots"
        raise invalid_field(field, message, "uneven_slots")
    if limit is not None and wanted > limit:
        message = f"needs {wanted} slots, and one user may run on {limit}"
        raise invalid_field(field, message, "too_many_slots")
    if asked is not None:
        workers = [worker._replace(shared=False) for worker in workers]
    job = Waiting("", "", 0, wanted, 0.0, nodes=nodes)
    if workers and not holders(job, workers):
        raise invalid_field(field, too_large(job, workers), "too_many_slots")


def check_priority(actor: Actor, priority: Priority) -> None:
    """Raise 403 for a priority that only admins may give."""
    if priority == "high" and actor.role != "admin":
        raise ApiError(403, "forbidden", "priority: only admins may give high priority")
