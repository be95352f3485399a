"""The training process: `python -m paka.train FOLDER`, started by `paka.launch`."""

import argparse
import logging
import sys
from pathlib import Path

import torch

from paka.config import TrainConfig
from paka.distributed import Processes
from paka.errors import PakaError, one_line
from paka.process import StopFlag, die_with_parent
from paka.run_folder import Outcome, RunFolder
from paka.trainer import Trainer

log = logging.getLogger("paka.train")


def main(arguments: list[str] | None = None) -> int:
    """Train the run's config; how it ended is in outcome.json. Returns 1 after an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder with config.json")
    run = RunFolder(parser.parse_args(arguments).run)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    die_with_parent()
    stop, processes = StopFlag().install(), Processes()
    if not processes.first:
        return int(train(run, stop, processes).outcome == "failed")
    with run.locked():
        outcome = train(run, stop, processes)
        run.write_outcome(outcome)
    return int(outcome.outcome == "failed")


def train(run: RunFolder, stop: StopFlag, processes: Processes) -> Outcome:
    """Run the trainer; whatever goes wrong becomes an outcome that says so."""
    try:
        config = TrainConfig.model_validate_json(run.config.read_text())
        trainer = Trainer(config, run, stop, processes)
        log.info(
            "%d images, %d steps, on %s",
            len(trainer.images),
            trainer.total_steps,
            trainer.device,
        )
        outcome = trainer.run()
    except Exception as error:
        log.exception("training failed")
        rows = run.read_metrics()
        return Outcome("failed", rows[-1]["step"] if rows else 0, explain(error))
    log.info("%s at step %d", outcome.outcome, outcome.step)
    return outcome


def explain(error: Exception) -> str:
    """One sentence for the user: what went wrong, and where there is a remedy, which."""
    if isinstance(error, torch.OutOfMemoryError):
        return (
            "out of GPU memory: raise optim.accumulate (same result, less memory), or lower "
            f"optim.batch_size, views.global_size or views.local_crops ({error})"
        )
    if isinstance(error, PakaError):
        return one_line(error)
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
