"""Describe the machine that a measurement ran on; a figure without it means nothing."""

import os
import platform
from pathlib import Path
from typing import NamedTuple

import torch


class Machine(NamedTuple):
    """What a time or a size depends on. `load` is the system's load average when asked."""

    cpu: str
    cores: int
    threads: int
    memory_gib: float
    gpu: str | None
    torch: str
    python: str
    load: float

    def __str__(self) -> str:
        gpu = self.gpu or "no GPU"
        return (
            f"{self.cpu}, {self.cores} cores ({self.threads} torch threads), "
            f"{self.memory_gib:.0f} GiB, {gpu}, torch {self.torch}, Python {self.python}, "
            f"load {self.load:.1f}"
        )


def describe() -> Machine:
    """Return this machine's description, with the cores that this process may use."""
    return Machine(
        cpu=_cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        threads=torch.get_num_threads(),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        torch=torch.__version__,
        python=platform.python_version(),
        load=os.getloadavg()[0],
    )


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()
