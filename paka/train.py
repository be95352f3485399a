"""The training process: `python -m paka.train FOLDER`, started by `paka.launch`."""

import argparse
import logging
import sys
from pathlib import Path

import torch

from paka.config import EncoderConfig, TrainConfig
from paka.distributed import Processes
from paka.errors import PakaError, one_line
from paka.evaluation.config import (
    EvaluateConfig,
    EvaluationFields,
    EvaluationRuntime,
    TrainEvaluation,
)
from paka.evaluation.datasets import open_labelled
from paka.evaluation.run import Evaluation, Stopped
from paka.files import read_json, write_json
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
    """Run the trainer, then the evaluation; what goes wrong becomes an outcome that says so."""
    try:
        config = TrainConfig.model_validate_json(run.config.read_text())
        outcome = fit(config, run, stop, processes)
        if outcome.outcome == "finished" and config.evaluate is not None and processes.first:
            outcome = evaluate(config, config.evaluate, run, stop, outcome)
    except Exception as error:
        log.exception("training failed")
        rows = run.read_metrics()
        return Outcome("failed", rows[-1]["step"] if rows else 0, explain(error))
    log.info("%s at step %d", outcome.outcome, outcome.step)
    return outcome


def fit(config: TrainConfig, run: RunFolder, stop: StopFlag, processes: Processes) -> Outcome:
    """Post-train the encoder, unless its result is there already. Raises what the trainer does."""
    if (run.final / "meta.json").exists():
        return Outcome("finished", read_json(run.final / "meta.json")["step"])
    if config.evaluate is not None and processes.first:
        # A data set that cannot be read is better known before hours of training than after.
        open_labelled(Path(config.evaluate.dataset), config.evaluate.layout)
    trainer = Trainer(config, run, stop, processes)
    log.info("%d images, %d steps, on %s", len(trainer.images), trainer.total_steps, trainer.device)
    return trainer.run()


def evaluate(
    config: TrainConfig, asked: TrainEvaluation, run: RunFolder, stop: StopFlag, trained: Outcome
) -> Outcome:
    """Hold the result against the encoder it began with; the result stands whatever happens.

    Args:
        trained: how the training ended.
    """
    folder = RunFolder(run.evaluation)
    try:
        folder.path.mkdir(exist_ok=True)
        complete = before_and_after(config, asked, run.final / "encoder.safetensors")
        write_json(folder.config, complete.model_dump(mode="json"))
        Evaluation(complete, folder, stop).run()
    except Stopped:
        return Outcome("stopped", trained.step)
    except Exception as error:
        log.exception("the evaluation failed")
        problem = explain_evaluation(error)
        return Outcome(
            "failed", trained.step, f"trained, but the evaluation of the result failed: {problem}"
        )
    return trained


def before_and_after(config: TrainConfig, asked: TrainEvaluation, result: Path) -> EvaluateConfig:
    """The evaluation of the encoder that a run begins with, and of its result."""
    after = EncoderConfig(architecture=config.encoder.architecture, weights=str(result.absolute()))
    return EvaluateConfig(
        **{name: getattr(asked, name) for name in EvaluationFields.model_fields},
        encoders=(config.encoder, after),
        names=("before", "after"),
        runtime=EvaluationRuntime(device=config.runtime.device, workers=config.runtime.workers),
    )


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


def explain_evaluation(error: Exception) -> str:
    """`explain`, for an evaluation."""
    if isinstance(error, torch.OutOfMemoryError):
        return f"out of GPU memory: lower size, or the images at once ({error})"
    return explain(error)


if __name__ == "__main__":
    sys.exit(main())
