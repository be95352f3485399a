"""Start a run's training processes: `python -m paka.launch --run FOLDER`.

One process or several, all go through torchrun, so that a run on one GPU is the same as on eight.
SIGTERM to this process reaches them all; they write a checkpoint and leave. Exit codes: 0 finished,
3 stopped with a checkpoint, 1 error (what it was is in the run's outcome.json), 128 + n if a
training process was killed by signal n.
"""

import argparse
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from paka.files import read_json
from paka.process import die_with_parent
from paka.run_folder import EXIT_CODES, RunFolder


def main(arguments: list[str] | None = None) -> int:
    """Launch, wait, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder with config.json")
    run = RunFolder(parser.parse_args(arguments).run)
    die_with_parent()
    run.outcome.unlink(missing_ok=True)
    processes = read_json(run.config).get("runtime", {}).get("processes", 1)
    script = ["--module", "paka.train", str(run.path)]
    try:
        torchrun(["--standalone", "--nproc-per-node", str(processes), *script])
    except SignalException:
        print("stopped by a signal", file=sys.stderr)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        print(f"a training process ended with exit code {failure.exitcode}", file=sys.stderr)
        if failure.exitcode < 0:
            return 128 - failure.exitcode
    outcome = run.read_outcome()
    return EXIT_CODES[outcome.outcome] if outcome else EXIT_CODES["failed"]


if __name__ == "__main__":
    sys.exit(main())
