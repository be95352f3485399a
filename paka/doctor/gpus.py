"""Whether torch can use the GPUs that the driver lists."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from paka.doctor.finding import Finding, not_applicable, ok, problem, size, warning

Listed = tuple[list[str], str]
"""The driver's GPUs as `name, driver version`, and why it cannot list them."""


def listed() -> Listed:
    """What `nvidia-smi` says; nothing of either where it is not installed."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return [], ""
    query = [command, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        return [], "nvidia-smi did not answer for 20 s"
    if done.returncode != 0:
        return [], (done.stdout + done.stderr).strip().splitlines()[-1]
    return done.stdout.splitlines(), ""


def judge(answer: Mapping[str, Any], known: Listed) -> Iterator[Finding]:
    """One finding for each GPU, or why there is none.

    Args:
        answer: of the probe's step `GPUs`.
        known: what `listed` returned.
    """
    names, trouble = known
    devices = answer["devices"]
    if trouble:
        yield problem(
            "driver",
            trouble,
            "restart the machine (or the container), so that driver and libraries are of one "
            "version",
        )
    if not devices and names:
        yield problem("GPU", f"{'; '.join(names)}: but {_reason(answer)}", _remedy(answer))
    elif not devices and not trouble:
        yield not_applicable("GPU", "none: training on a CPU is for trying things out")
    if len(names) > len(devices) > 0:
        hidden = f"torch sees {len(devices)} of {len(names)}"
        yield warning("GPUs", hidden, "unset CUDA_VISIBLE_DEVICES, unless you chose so")
    for number, device in enumerate(devices):
        yield _gpu(f"GPU {number}", device)


def _gpu(name: str, device: Mapping[str, Any]) -> Finding:
    found = f"{device['name']}, compute capability {device['capability']}"
    if "error" in device:
        lacking = f"{found}: {device['error']}"
        return problem(name, lacking, "install a torch built for this GPU and driver: pytorch.org")
    if not device["works"]:
        return problem(name, f"{found}: computes wrongly", "have this GPU replaced")
    found += f", {size(device['free'])} free of {size(device['total'])}"
    if not device["bf16"]:
        remedy = "runtime.precision=fp32, or a newer GPU"
        return warning(name, f"{found}; it has no bfloat16", remedy)
    if device["free"] < device["total"] / 2:
        return warning(name, f"{found}: somebody else uses it", "nvidia-smi says who")
    return ok(name, f"{found}, bfloat16")


def _reason(answer: Mapping[str, Any]) -> str:
    return str(answer.get("reason") or "torch finds none")


def _remedy(answer: Mapping[str, Any]) -> str:
    reason = _reason(answer)
    if "not compiled with CUDA" in reason:
        return "this torch is for CPUs: pip install --force-reinstall torch torchvision"
    if "too old" in reason:
        return "update the driver, or install a torch for its CUDA: pytorch.org"
    return "docker run --gpus all in a container; else look at nvidia-smi and CUDA_VISIBLE_DEVICES"
