"""What this machine computes on, asked without loading torch."""

import shutil
import subprocess


def describe_device() -> str:
    """The visible GPUs by name, or `cpu`."""
    if shutil.which("nvidia-smi") is None:
        return "cpu"
    listed = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    return ", ".join(listed.stdout.split("\n")).strip(", ") or "cpu"
