"""The slots of this machine, on each of which one process of a job runs, and what it may use.

On a machine with GPUs each GPU is a slot; on one without, `cpu_slots` share its cores and memory.
"""

import os
import socket
from collections.abc import Collection, Sequence

import psutil

from service.store.settings import Settings
from service.store.workers import SlotView
from worker.gpus import Gpu


def find_slots(
    gpus: Sequence[Gpu], settings: Settings, embedding: Collection[str]
) -> list[SlotView]:
    """The slots, with the memory that they have for jobs.

    Args:
        gpus: what this worker may use.
        embedding: UUIDs of the GPUs on which embedding keeps its reserve.
    """
    if gpus:
        return [_gpu_slot(gpu, settings, gpu.uuid in embedding) for gpu in gpus]
    memory = psutil.virtual_memory()
    host = socket.gethostname()
    return [
        SlotView(f"{host}/cpu-{number}", "cpu", memory.total, memory.available)
        for number in range(settings.cpu_slots)
    ]


def embed_reserve(gpu: Gpu, settings: Settings) -> int:
    """Bytes kept for embedding on the GPU that it uses."""
    return min(settings.embed_reserve_bytes, (gpu.total_bytes or 0) // 4)


def environment(slot_ids: Sequence[str], processes: int, settings: Settings) -> dict[str, str]:
    """What tells each of a job's processes to keep to its slots: these GPUs, or so many cores."""
    if not slot_ids:
        return {}
    if not slot_ids[0].startswith(f"{socket.gethostname()}/cpu-"):
        return {"CUDA_VISIBLE_DEVICES": ",".join(slot_ids)}
    if settings.cpu_slots == 1:
        return {}  # the whole machine, as torch finds it
    cores = len(os.sched_getaffinity(0)) * len(slot_ids) // settings.cpu_slots
    return {"OMP_NUM_THREADS": str(max(cores // processes, 1))}


def _gpu_slot(gpu: Gpu, settings: Settings, embedding: bool) -> SlotView:
    reserve = embed_reserve(gpu, settings) if embedding else 0
    total, free = gpu.total_bytes, gpu.free_bytes
    return SlotView(
        gpu.uuid,
        gpu.name,
        None if total is None else total - reserve,
        None if free is None else max(free - reserve, 0),
    )
