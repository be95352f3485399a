"""Carry out a run's training: `python -m paka.launch --run FOLDER`.

One process is this one, since starting another costs as long as importing torch does; several go
through torchrun. Of a run on several hosts each has a launch and a folder of its own, see
`paka.nodes`; only the first one's holds what the run makes. SIGTERM to this process reaches all of
this host; they write a checkpoint and leave, with those of the other hosts. Exit codes: 0 finished,
3 stopped with a checkpoint, 1 error (what it was is in the run's outcome.json), 128 + n if one of
several training processes was killed by signal n.
"""

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from paka.files import read_json
from paka.process import die_in_silence, die_with_parent, leave, quick_imports
from paka.run_folder import EXIT_CODES, RunFolder

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure


def main(arguments: list[str] | None = None) -> int:
    """Train to the end, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder with config.json")
    run = RunFolder(parser.parse_args(arguments).run)
    die_with_parent()
    die_in_silence()
    run.forget_ending()
    runtime = read_json(run.config).get("runtime", {})
    processes = runtime.get("processes", 1) // runtime.get("nodes", 1)
    if processes == 1:
        # torch takes seconds to import, and until then this process must leave with its parent.
        with quick_imports():
            from paka.train import main as train

        train([str(run.path)])
    elif number := run_processes(processes, ["--module", "paka.train", str(run.path)]):
        return 128 + number
    outcome = run.read_outcome()
    return EXIT_CODES[outcome.outcome] if outcome else EXIT_CODES["failed"]


def run_processes(processes: int, script: list[str]) -> int:
    """Run torchrun to its end; return the signal that killed one of its processes, 0 if none."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    try:
        torchrun(["--standalone", "--nproc-per-node", str(processes), *script])
    except SignalException:
        print("stopped by a signal", file=sys.stderr)
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        print(f"training processes ended with exit codes {codes}", file=sys.stderr)
        return _signal(list(error.failures.values()))
    return 0


def _signal(failures: "list[ProcessFailure]") -> int:
    """The signal that killed one of the processes that ended first; 0 if none was killed.

    Those that end with it may have an error only because it had gone. Those that end later were
    sent SIGTERM, then SIGKILL, by torchrun itself.
    """
    first = min(failure.timestamp for failure in failures)
    codes = [failure.exitcode for failure in failures if failure.timestamp <= first + 1]
    return max((-code for code in codes if code < 0 and -code != signal.SIGTERM), default=0)


if __name__ == "__main__":
    leave(main())
