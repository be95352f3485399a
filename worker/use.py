"""How this machine is used: by this worker with its jobs, and by all programs."""

import socket
from collections.abc import Sequence
from contextlib import suppress

import psutil

from service.store.workers import GpuUse, Use
from worker.gpus import Gpu


def use_of_machine(gpus: Sequence[Gpu]) -> Use:
    """Return it as it is now; of the processor, since the last time that it was asked for."""
    memory = psutil.virtual_memory()
    return Use(
        host=socket.gethostname(),
        worker_bytes=_worker_bytes(),
        cpu_busy=psutil.cpu_percent() / 100,
        memory_used_bytes=memory.total - memory.available,
        memory_total_bytes=memory.total,
        gpus=tuple(_use_of(gpu) for gpu in gpus),
    )


def _worker_bytes() -> int:
    this = psutil.Process()
    total = 0
    for process in (this, *this.children(recursive=True)):
        with suppress(psutil.Error):  # it has just ended
            total += process.memory_info().rss
    return total


def _use_of(gpu: Gpu) -> GpuUse:
    total, free = gpu.total_bytes, gpu.free_bytes
    used = None if total is None or free is None else total - free
    return GpuUse(gpu.uuid, gpu.name, used, total, gpu.busy)
