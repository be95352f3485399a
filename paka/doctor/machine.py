"""Processor, memory, disk, shared memory, and the compiler that torch.compile asks for."""

import os
import resource
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from paka.doctor.finding import Finding, Request, Topic, not_applicable, ok, problem, size, warning

_GB = 10**9
_DOCKERS_SHM = 64 * 2**20


def check(_request: Request) -> Iterator[Finding]:
    """What a training needs of the machine."""
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    yield threads(os.environ.get("OMP_NUM_THREADS"), usable)
    yield memory(Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max"))
    yield disk(Path.cwd())
    yield shared_memory(Path("/dev/shm"))  # noqa: S108  no file is made
    yield open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield compiler(os.environ.get("CC"), Path(sysconfig.get_path("include")))


def threads(wanted: str | None, usable: int) -> Finding:
    """Cores that this process may use, beside how many threads it is told to start."""
    found = f"{usable} of {os.cpu_count()} cores"
    if wanted and wanted.isdigit() and int(wanted) > usable:
        found = f"OMP_NUM_THREADS={wanted} threads on {found}: they will wait for one another"
        return warning("processor", found, f"export OMP_NUM_THREADS={usable}, or unset it")
    return ok("processor", found)


def memory(info: Path, limit: Path) -> Finding:
    """Memory that is free, by the kernel and by the container's limit."""
    if not info.exists():
        return not_applicable("memory", f"there is no {info} on this system")
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines())
    total, free = (int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    text = limit.read_text().strip() if limit.exists() else "max"
    if text != "max":
        total, free = min(total, int(text)), min(free, int(text))
    found = f"{size(free)} free of {size(total)}"
    if free < 4 * _GB:
        remedy = "end other programs, or lower runtime.workers and optim.batch_size"
        return warning("memory", found, remedy)
    return ok("memory", found)


def disk(folder: Path) -> Finding:
    """Room where `paka train` would write its run."""
    free = shutil.disk_usage(folder).free
    found = f"{size(free)} free in {folder}"
    if free < _GB:
        return problem("disk", found, "make room, or work in a folder on another disk")
    if free < 10 * _GB:
        return warning("disk", f"{found}: a checkpoint of ViT-L takes 5 GB", "make room")
    return ok("disk", found)


def shared_memory(folder: Path) -> Finding:
    """Room in which loader processes hand over batches; too little ends in a bus error."""
    if not folder.is_dir():
        return not_applicable("shared memory", f"there is no {folder} on this system")
    total = shutil.disk_usage(folder).total
    found = f"{size(total)} in {folder}"
    remedy = "docker run --shm-size=8g (PAKA_SHM_SIZE in .env), or runtime.workers=0"
    if total <= _DOCKERS_SHM:
        return problem("shared memory", f"{found}: loaders will die of a bus error", remedy)
    if total < _GB:
        return warning("shared memory", f"{found}: large batches will not fit", remedy)
    return ok("shared memory", found)


def open_files(limit: int) -> Finding:
    """How many files a process may have open, each tensor from a loader among them."""
    found = f"{limit} at once" if limit >= 0 else "no limit"
    if 0 <= limit < 1024:
        return warning("open files", f"{found}: loader processes may need more", "ulimit -n 4096")
    return ok("open files", found)


def compiler(wanted: str | None, headers: Path) -> Finding:
    """What torch.compile needs on a GPU: a C compiler, and Python's headers."""
    found = shutil.which(wanted) if wanted else shutil.which("cc") or shutil.which("gcc")
    if found is None:
        reason = f"CC={wanted} is not there" if wanted else "none"
        remedy = "apt install gcc libc6-dev"
        return warning("C compiler", f"{reason}: runtime.compile=true will fail", remedy)
    if not (headers / "Python.h").is_file():
        lacking = f"{found}, but no Python.h in {headers}: runtime.compile=true will fail"
        return warning("C compiler", lacking, "apt install python3-dev")
    return ok("C compiler", found)


TOPIC = Topic("Machine", check)
