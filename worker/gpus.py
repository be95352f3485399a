"""What this machine computes on, asked without loading torch."""

import os
import subprocess


def describe_device() -> str:
    """The GPUs that CUDA may use here, by name; `cpu` if there is none that answers."""
    command = ["nvidia-smi", "--query-gpu=index,uuid,name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):  # none, or what it prints is its trouble
        return "cpu"
    lines = listed.stdout.splitlines()
    gpus = [tuple(line.split(", ", 2)) for line in lines if line.count(", ") > 1]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return ", ".join(name for _, _, name in gpus) or "cpu"
    return ", ".join(_chosen(gpus, visible)) or "cpu"


def _chosen(gpus: list[tuple[str, ...]], visible: str) -> list[str]:
    """Names of what `visible` lists by index or UUID; as in CUDA, the first unknown one ends it."""
    names: list[str] = []
    for choice in (part.strip() for part in visible.split(",")):
        found = [n for index, uuid, n in gpus if choice == index or _begins(uuid, choice)]
        if choice.startswith("MIG-"):
            found = [choice]  # a part of a GPU, which nvidia-smi does not name in this list
        if not found:
            break
        names.append(found[0])
    return names


def _begins(uuid: str, choice: str) -> bool:
    return choice.startswith("GPU-") and uuid.startswith(choice)
