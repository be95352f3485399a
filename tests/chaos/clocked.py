"""Run a module with a clock that a file moves: `python -m tests.chaos.clocked FILE MODULE …`.

The file holds the seconds by which the module's wall clock differs from the machine's. The clock
for durations (`time.monotonic`) goes on as ever, as on a machine whose time somebody sets.
"""

import runpy
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from service.store import base


def install(file: Path) -> None:
    """Let `time.time` and the service's `utc_now` tell the file's time."""
    real_time, real_now = time.time, base.utc_now

    def offset() -> float:
        return float(file.read_text()) if file.exists() else 0.0

    def shifted_time() -> float:
        return real_time() + offset()

    def shifted_now() -> datetime:
        return real_now() + timedelta(seconds=offset())

    time.time, base.utc_now = shifted_time, shifted_now


if __name__ == "__main__":
    _, clock, module, *arguments = sys.argv
    install(Path(clock))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
