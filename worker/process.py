"""A job's operating-system process, with all that it starts."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from io import RawIOBase
from pathlib import Path
from typing import cast

import psutil

from paka.process import SILENCE_VARIABLE

log = logging.getLogger(__name__)

_MARK = "PAKA_ATTEMPT"
_KILL_SECONDS = 10
_SECRETS = (
    "PAKA_DATABASE_URL",
    "PAKA_REDIS_URL",
    "PAKA_SECRET_KEY",
    "PAKA_METRICS_TOKEN",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "PAKA_ARTIFACTS_URL",
)
_SECRET_FAMILIES = ("AWS_", "AZURE_", "GOOGLE_", "FSSPEC_")
"""How variables begin with which the worker reaches the object storage."""


class JobProcess:
    """`python -m <module> --run <run>`, started in a session of its own, output to its train.log.

    A process of its own, and not this one's fork, may use CUDA, gives all memory back, and is not
    reached by what is sent to the worker's terminal. Whatever earlier attempts at the job have
    left on this machine is ended first: a worker that is killed can leave a process behind.
    It ends by itself when it has not been told for `silence_seconds` that it is still wanted.

    Args:
        rank: which node of the job it is; several may be on one machine.
        environment: variables of its own, beside this process's.
        niceness: how far it gives way to embedding where both want the processor, 0 to 19.
    """

    def __init__(
        self,
        module: str,
        run: Path,
        job_id: str,
        attempt: int,
        silence_seconds: float,
        environment: Mapping[str, str] | None = None,
        niceness: int = 0,
        rank: int = 0,
    ) -> None:
        # Never a later one: this worker may have slept, and another have taken the job meanwhile.
        kill_marked(*(f"{job_id}/{earlier}/" for earlier in range(1, attempt)))
        self._mark = f"{job_id}/{attempt}/{rank}/"
        with (run / "train.log").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, "--run", str(run)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **_without_secrets(os.environ),
                    **(environment or {}),
                    _MARK: self._mark,
                    SILENCE_VARIABLE: str(silence_seconds),
                },
            )
        self._voice = cast(RawIOBase, self._process.stdin)
        os.set_blocking(self._voice.fileno(), False)
        _give_way(self._process.pid, niceness)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.poll()

    def reassure(self) -> None:
        """Tell it that it is still wanted."""
        if not self._voice.closed:
            with suppress(BrokenPipeError):  # it has just ended
                self._voice.write(b".")

    def terminate(self) -> None:
        """Ask it to write a checkpoint and leave."""
        self._process.terminate()

    def kill(self) -> None:
        """End it and all that it has started; returns when they are gone."""
        # First by its handle: whoever else waits for a child takes its exit code away.
        self._process.kill()
        self._process.wait()
        self._voice.close()
        kill_marked(self._mark)


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """A job needs neither database, Redis nor object storage, and users read what it prints."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _SECRETS and not name.startswith(_SECRET_FAMILIES)
    }


def _give_way(pid: int, niceness: int) -> None:
    """Lower a process's claim to the processor, and that of all that it starts.

    Linux may weigh sessions before processes (autogroups): there the session's niceness counts.
    """
    with suppress(OSError):  # it has ended already, or the kernel does not allow it
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


def kill_marked(*marks: str) -> None:
    """End all processes whose mark begins with one of `marks`.

    The mark is in the environment, which is handed down: it also finds processes in sessions of
    their own, and those whose parent has gone.
    """
    while found := [process for process in psutil.process_iter() if _is_marked(process, marks)]:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _, alive = psutil.wait_procs(found, timeout=_KILL_SECONDS)
        if alive:
            log.error("killed, but not gone: %s", alive)
            return


def _is_marked(process: psutil.Process, marks: tuple[str, ...]) -> bool:
    try:
        return bool(process.environ().get(_MARK, "").startswith(marks))
    except psutil.Error:  # it has just ended, or is another user's
        return False


def describe_exit(code: int) -> str:
    """Say how a process ended that said nothing itself."""
    number = -code if code < 0 else code - 128
    if number in signal.valid_signals():
        hint = ", as the system does when memory runs out" if number == signal.SIGKILL else ""
        return f"the job's process was killed by {signal.Signals(number).name}{hint}"
    return f"the job's process ended with exit code {code} and no word of why"
