"""Whether torch, torchvision, faiss, the GPUs and the starter work: what `probe` says of them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from paka.doctor import gpus
from paka.doctor.finding import Finding, Request, Topic, not_applicable, ok, problem

COMMAND = (sys.executable, "-m", "paka.doctor.probe")
SECONDS = 120
STARTER_MEAN = 0.9590891
"""Mean size of the starter's features of the probe's picture, on a CPU in float32."""

_REINSTALL = "pip install --force-reinstall 'paka-service[train]'"
_running: list[subprocess.Popen[str]] = []


@contextmanager
def started(command: Sequence[str] = COMMAND) -> Iterator[None]:
    """Let the probe run meanwhile; `check` waits for what it says."""
    # Standard error goes along: what the loader of shared libraries says is only there.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        _running.append(process)
        try:
            yield
        finally:
            _running.remove(process)
            process.kill()


def check(_request: Request) -> Iterator[Finding]:
    """What the probe has found, in order."""
    process = _running[-1]
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    answers, unfinished, said = read(output)
    for name, answer in answers.items():
        if "error" in answer:
            yield failed(name, answer["error"])
        else:
            yield from _JUDGES[name](answer)
    if unfinished is not None:
        yield ended(unfinished, process.returncode, said)


def read(output: str) -> tuple[dict[str, dict[str, Any]], str | None, str]:
    """Return each step's answer, the step that never ended, and the last line of other output."""
    answers: dict[str, dict[str, Any]] = {}
    unfinished, said = None, ""
    for line in output.splitlines():
        try:
            row = json.loads(line)
            name = row["step"]
        except (ValueError, TypeError, KeyError):
            said = line.strip() or said
            continue
        unfinished = None if "answer" in row else name
        if "answer" in row:
            answers[name] = row["answer"]
    return answers, unfinished, said


def failed(step: str, error: str) -> Finding:
    """A step that raised: what is known of such errors, else the error itself."""
    if error.startswith("ModuleNotFoundError"):
        return not_applicable(step, error.partition(": ")[2], "pip install 'paka-service[train]'")
    if "operator torchvision::" in error:
        pair = f"torchvision {_version('torchvision')} was not built for torch {_version('torch')}"
        return problem(step, pair, f"{_REINSTALL} (both from one index)")
    if "CUDA" in error or "libcud" in error or "libnv" in error:
        return problem(step, error, f"{_REINSTALL}, or the build for your driver: pytorch.org")
    return problem(step, error, _REINSTALL)


def ended(step: str, code: int, said: str) -> Finding:
    """A step in which the process was killed, by itself, the kernel, or for want of time."""
    if code == -signal.SIGKILL:
        found = f"did not answer for {SECONDS} s, or was killed for want of memory"
        remedy = (
            "nvidia-smi and dmesg may say more; a GPU that hangs needs a restart of its machine"
        )
    elif code == -signal.SIGILL:
        found = "uses instructions that this processor does not have (SIGILL)"
        remedy = "install builds for this processor, from the index of your distribution"
    else:
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        found, remedy = f"broke the process ({name}): {said}", _REINSTALL
    return problem(step, found, remedy)


def _torch(answer: Mapping[str, Any]) -> Iterator[Finding]:
    build = f"CUDA {answer['cuda']}" if answer["cuda"] else (answer["hip"] and "ROCm") or "the CPU"
    yield ok("torch", f"{answer['version']} for {build}, {answer['threads']} threads")


def _version_only(name: str) -> Any:
    return lambda answer: iter([ok(name, f"{answer['version']} works")])


def _starter(answer: Mapping[str, Any]) -> Iterator[Finding]:
    if not answer["finite"]:
        found = "gives features that are not finite"
    elif abs(answer["mean"] / STARTER_MEAN - 1) > 0.01:
        found = f"gives features of mean size {answer['mean']:.4f} instead of {STARTER_MEAN:.4f}"
    else:
        yield ok("starter", "gives the features that it should")
        return
    yield problem("starter", f"{found}: torch computes wrongly here", _REINSTALL)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(which is missing)"


_JUDGES = {
    "torch": _torch,
    "torchvision": _version_only("torchvision"),
    "GPUs": lambda answer: gpus.judge(answer, gpus.listed()),
    "faiss": _version_only("faiss"),
    "starter": _starter,
}

TOPIC = Topic("Torch", check)
