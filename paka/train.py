"""The training itself: `python -m paka.train FOLDER`, run by `paka.launch` in each process."""

import argparse
import logging
from pathlib import Path

from paka.process import StopFlag, die_with_parent, leave, quick_imports

with quick_imports():
    from paka.config import TrainConfig
    from paka.distributed import Processes
    from paka.errors import ConfigError
    from paka.evaluation.datasets import open_labelled
    from paka.explain import explain_training
    from paka.files import read_json
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
    if not processes.first_here:
        return int(train(run, stop, processes).outcome == "failed")
    with run.locked():
        outcome = train(run, stop, processes)
        run.write_outcome(outcome)
    return int(outcome.outcome == "failed")


def train(run: RunFolder, stop: StopFlag, processes: Processes) -> Outcome:
    """Run the trainer, then the evaluation; what goes wrong becomes an outcome that says so."""
    config = None
    try:
        config = TrainConfig.model_validate_json(run.config.read_text())
        outcome = fit(config, run, stop, processes)
        if outcome.outcome == "finished" and config.evaluate is not None and processes.first:
            # Imported only where it is used: SciPy and the protocols take a second.
            from paka.before_after import evaluate

            with run.phase("evaluate", outcome.step):
                outcome = evaluate(config, config.evaluate, run, stop, outcome)
    except Exception as error:
        log.exception("training failed")
        rows = run.read_metrics()
        return Outcome("failed", rows[-1]["step"] if rows else 0, explain_training(error, config))
    log.info("%s at step %d", outcome.outcome, outcome.step)
    return outcome


def fit(config: TrainConfig, run: RunFolder, stop: StopFlag, processes: Processes) -> Outcome:
    """Post-train the encoder, unless its result is there already.

    Raises:
        ConfigError: there are more or fewer processes than the config says.
        PakaError: what the trainer raises.
    """
    if processes.count != config.runtime.processes:
        raise ConfigError(
            f"{processes.count} processes were started, and runtime.processes is "
            f"{config.runtime.processes}: each would take a wrong share of a batch"
        )
    device = processes.device(config.runtime.device)
    # From here on the others learn at once if one leaves with an error.
    with processes.joined(device, stop):
        # Only the first process's host need have the result.
        step = processes.share(trained_steps(run), device)
        if step is not None:
            return Outcome("finished", step)
        if config.evaluate is not None and processes.first:
            # A data set that cannot be read is better known before hours of training than after.
            open_labelled(Path(config.evaluate.dataset), config.evaluate.layout)
        trainer = Trainer(config, run, stop, processes)
        count, steps = len(trainer.images), trainer.total_steps
        log.info("%d images, %d steps, on %s", count, steps, device)
        return trainer.run()


def trained_steps(run: RunFolder) -> int | None:
    """The steps of the run's result, None while there is none."""
    meta = run.final / "meta.json"
    return int(read_json(meta)["step"]) if meta.exists() else None


if __name__ == "__main__":
    leave(main())
