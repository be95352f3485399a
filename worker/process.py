"""A job's operating-system process, with all that it starts."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil


def start(module: str, run: Path) -> subprocess.Popen[bytes]:
    """Start `python -m <module> --run <run>` in a session of its own, output to its train.log.

    A process of its own, and not this one's fork, may use CUDA, gives all memory back, and is not
    reached by what is sent to the worker's terminal.
    """
    with (run / "train.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, "--run", str(run)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The process and all below it, as long as it lives."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process]) -> None:
    """End what is left of a family; returns when it is gone."""
    for member in processes:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


def describe_exit(code: int) -> str:
    """Say how a process ended that said nothing itself."""
    number = -code if code < 0 else code - 128
    if number in signal.valid_signals():
        return f"the job's process was killed by {signal.Signals(number).name}"
    return f"the job's process ended with exit code {code} and no word of why"
