"""Memory of processes as the kernel counts it (Linux), in MiB."""

from pathlib import Path
from typing import Literal


def resident_mib(which: Literal["VmRSS", "VmHWM"], pid: int | str = "self") -> float:
    """The resident size of a process: now (VmRSS), or its highest (VmHWM)."""
    return _sum(Path(f"/proc/{pid}/status"), (which,))


def own_mib(pid: int | str = "self") -> float:
    """What a process has for itself: the pages that it shares with no other."""
    return _sum(Path(f"/proc/{pid}/smaps_rollup"), ("Private_Clean", "Private_Dirty"))


def forget_peak() -> None:
    """Set this process's highest resident size to the present one."""
    Path("/proc/self/clear_refs").write_text("5")


def _sum(file: Path, fields: tuple[str, ...]) -> float:
    rows = [line.split() for line in file.read_text().splitlines()]
    found = [int(row[1]) for row in rows if row[0].rstrip(":") in fields]
    if len(found) < len(fields):
        raise RuntimeError(f"{file} has no {' or '.join(fields)}; this measurement needs Linux")
    return sum(found) / 1024
