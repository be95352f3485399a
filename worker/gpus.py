"""The GPUs of this machine, asked without loading torch."""

import os
import subprocess
from typing import NamedTuple

_FIELDS = "index,uuid,memory.total,memory.free,utilization.gpu,name"
_MIB = 2**20


class Gpu(NamedTuple):
    """One GPU; None where nvidia-smi cannot tell. `busy` is from 0 to 1, of the last moment."""

    number: str
    uuid: str
    total_bytes: int | None
    free_bytes: int | None
    name: str
    busy: float | None = None


def find_gpus() -> list[Gpu]:
    """The GPUs that CUDA may use here, in its order; none if none answers."""
    command = ["nvidia-smi", f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):  # none, or what it prints is its trouble
        return []
    rows = [line.split(", ", 5) for line in listed.stdout.splitlines()]
    gpus = [
        Gpu(row[0], row[1], _bytes(row[2]), _bytes(row[3]), row[5], _share(row[4]))
        for row in rows
        if len(row) == 6
    ]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return gpus if visible is None else _chosen(gpus, visible)


def describe_device(gpus: list[Gpu]) -> str:
    """The GPUs by name; `cpu` if there is none."""
    return ", ".join(gpu.name for gpu in gpus) or "cpu"


def _chosen(gpus: list[Gpu], visible: str) -> list[Gpu]:
    """What `visible` lists by index or UUID; as in CUDA, the first unknown one ends it."""
    chosen: list[Gpu] = []
    for choice in (part.strip() for part in visible.split(",")):
        found = [gpu for gpu in gpus if choice == gpu.number or _begins(gpu.uuid, choice)]
        if choice.startswith("MIG-"):
            # A part of a GPU, which nvidia-smi does not name in this list.
            found = [Gpu(choice, choice, None, None, choice)]
        if not found:
            break
        chosen.append(found[0])
    return chosen


def _begins(uuid: str, choice: str) -> bool:
    return choice.startswith("GPU-") and uuid.startswith(choice)


def _share(percent: str) -> float | None:
    return int(percent) / 100 if percent.isdecimal() else None


def _bytes(mebibytes: str) -> int | None:
    return int(mebibytes) * _MIB if mebibytes.isdecimal() else None
