"""The evaluation that follows a training: the encoder it began with against its result."""

import logging
from pathlib import Path

from paka.config import EncoderConfig, TrainConfig
from paka.evaluation.config import (
    EvaluateConfig,
    EvaluationFields,
    EvaluationRuntime,
    TrainEvaluation,
)
from paka.evaluation.run import Evaluation, Stopped
from paka.explain import explain_evaluation
from paka.files import write_json
from paka.process import StopFlag
from paka.run_folder import Outcome, RunFolder

log = logging.getLogger(__name__)


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
