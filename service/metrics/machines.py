"""The workers, their machines and their GPUs, as the workers announce them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import Metric

from service.metrics.families import gauges
from service.store.workers import Announced

KINDS = ("jobs", "embed")


def families(workers: Sequence[Announced]) -> Iterator[Metric]:
    """Who is there, and how busy. Several workers of one machine tell of it alike."""
    alive = Counter(worker.kind for worker in workers)
    refusing = Counter(worker.kind for worker in workers if worker.problem)
    yield gauges("paka_workers", "Live workers.", ["kind"], {(k,): alive[k] for k in KINDS})
    yield gauges(
        "paka_workers_refusing",
        "Live workers that take no work: of another version, or without room on their disk.",
        ["kind"],
        {(kind,): refusing[kind] for kind in KINDS},
    )
    used = [worker for worker in workers if worker.use is not None]
    yield gauges(
        "paka_worker_memory_bytes",
        "Memory that a worker has taken with all processes that it started, GPUs' not included.",
        ["kind", "worker"],
        {(worker.kind, worker.name): worker.use.worker_bytes for worker in used if worker.use},
    )
    yield from _hosts(used)
    yield from _gpus(used)


def _hosts(workers: Sequence[Announced]) -> Iterator[Metric]:
    uses = {worker.use.host: worker.use for worker in workers if worker.use}
    yield gauges(
        "paka_host_cpu_ratio",
        "How busy the machine's cores are, by all programs: 0 to 1.",
        ["host"],
        {(host,): use.cpu_busy for host, use in uses.items()},
    )
    yield gauges(
        "paka_host_memory_used_bytes",
        "Memory in use on the machine, by all programs.",
        ["host"],
        {(host,): use.memory_used_bytes for host, use in uses.items()},
    )
    yield gauges(
        "paka_host_memory_bytes",
        "Memory of the machine.",
        ["host"],
        {(host,): use.memory_total_bytes for host, use in uses.items()},
    )


def _gpus(workers: Sequence[Announced]) -> Iterator[Metric]:
    gpus = {
        (worker.use.host, gpu.id, gpu.name): gpu
        for worker in workers
        if worker.use
        for gpu in worker.use.gpus
    }
    labels = ["host", "gpu", "device"]
    yield gauges(
        "paka_gpu_utilization_ratio",
        "Part of the last moment in which the GPU computed: 0 to 1.",
        labels,
        {key: gpu.busy for key, gpu in gpus.items() if gpu.busy is not None},
    )
    yield gauges(
        "paka_gpu_memory_used_bytes",
        "Memory of the GPU in use, by all programs.",
        labels,
        {key: gpu.used_bytes for key, gpu in gpus.items() if gpu.used_bytes is not None},
    )
    yield gauges(
        "paka_gpu_memory_bytes",
        "Memory of the GPU.",
        labels,
        {key: gpu.total_bytes for key, gpu in gpus.items() if gpu.total_bytes is not None},
    )
