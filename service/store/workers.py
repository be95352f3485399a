"""The workers that announce themselves in Redis, and the slots that they have."""

import json
import os
import socket
from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from service.store.contract import worker_key
from service.store.places import Slot, Worker
from service.store.settings import is_loopback

if TYPE_CHECKING:  # slow to import
    from redis import Redis


class SlotView(NamedTuple):
    """A GPU or CPU slot of a worker: memory for jobs in bytes, None if nobody can tell."""

    id: str
    device: str
    total_bytes: int | None
    free_bytes: int | None


class GpuUse(NamedTuple):
    """How a GPU is used, by all programs; None where nobody can tell. `busy` is from 0 to 1."""

    id: str
    name: str
    used_bytes: int | None
    total_bytes: int | None
    busy: float | None


class Use(NamedTuple):
    """What a worker and its jobs take of memory, and how its machine is used by all programs.

    `cpu_busy` is from 0 to 1, over all cores.
    """

    host: str
    worker_bytes: int
    cpu_busy: float
    memory_used_bytes: int
    memory_total_bytes: int
    gpus: tuple[GpuUse, ...]


class Embedding(NamedTuple):
    """What an embedding worker has done since its start: forward passes by how many images they
    had (`passes`, see `PASS_IMAGES`), their images, and encoders loaded; `warm` are held now.
    """

    passes: tuple[int, ...]
    images: int
    loaded: int
    warm: int


PASS_IMAGES = (1, 2, 4, 8, 16, 32, 64)
"""Images up to which a forward pass counts in each of `Embedding.passes`; the last has none more.
"""


class Announced(NamedTuple):
    """What a worker says of itself: `gpus` are the UUIDs of those that it embeds on, `problem` why
    it takes no work, `address` where other hosts reach it. Workers of earlier versions say nothing
    of `use`, `embedding` and `address`.
    """

    name: str
    kind: str
    slots: tuple[SlotView, ...]
    gpus: tuple[str, ...]
    problem: str | None = None
    use: Use | None = None
    embedding: Embedding | None = None
    address: str | None = None


def worker_name() -> str:
    """The name of this process as a worker."""
    return f"{socket.gethostname()}:{os.getpid()}"


def announced_workers(redis: "Redis") -> list[Announced]:
    """All live workers, by kind and name.

    Raises:
        redis.RedisError: Redis is away.
    """
    values = [redis.get(key) for key in redis.scan_iter(worker_key("*", "*"))]
    # An announcement may expire between the two calls.
    found = [_read(json.loads(value)) for value in values if value]
    return sorted(found, key=lambda worker: (worker.kind, worker.name))


def for_jobs(workers: Iterable[Announced]) -> list[Worker]:
    """Those that take jobs, as the scheduling policy wants them."""
    takers = (one for one in workers if one.kind == "jobs" and one.slots and not one.problem)
    return [schedulable(one.name, one.slots, one.address) for one in takers]


def schedulable(name: str, slots: Iterable[SlotView], address: str | None) -> Worker:
    """A worker as the scheduling policy wants it; unknown memory is taken for enough.

    Args:
        address: see `Announced`; without one it can be no node of a job that has several.
    """
    places = tuple(
        Slot(
            slot.id,
            inf if slot.free_bytes is None else slot.free_bytes,
            inf if slot.total_bytes is None else slot.total_bytes,
        )
        for slot in slots
    )
    cpu = all(slot.device == "cpu" for slot in slots)
    return Worker(name, places, shared=cpu, network=_network(name, address))


def _network(name: str, address: str | None) -> str:
    """Which workers reach each other: all that have addresses, on loopback those of one host."""
    if address is None:
        return name
    return name.rpartition(":")[0] if is_loopback(address) else ""


def _read(about: dict[str, Any]) -> Announced:
    slots = tuple(SlotView(**slot) for slot in about.get("slots", ()))
    gpus = tuple(about.get("gpus", ()))
    return Announced(
        about["name"],
        about["kind"],
        slots,
        gpus,
        about.get("problem"),
        _read_use(about["use"]) if "use" in about else None,
        Embedding(**about["embedding"]) if "embedding" in about else None,
        about.get("address"),
    )


def _read_use(use: dict[str, Any]) -> Use:
    return Use(**{**use, "gpus": tuple(GpuUse(**gpu) for gpu in use["gpus"])})
