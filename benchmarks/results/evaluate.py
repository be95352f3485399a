"""Measure the encoders of the results; trainings under several seeds count as one encoder."""

from collections.abc import Sequence
from pathlib import Path

from paka.evaluation.config import EvaluateConfig, Protocol
from paka.evaluation.report import Measurement
from paka.evaluation.run import Evaluation
from paka.run_folder import RunFolder
from paka.starter.vit_starter import NAME


def measure(
    title: str, weights: Sequence[Path], dataset: Path, protocols: Sequence[Protocol], folder: Path
) -> list[Measurement]:
    """All findings about the encoder called `title`, which `weights` hold, one file for each
    training seed. What `folder` has is not measured again.
    """
    references = [NAME, *(f"{NAME}@{path}" for path in weights)]
    names = ["starter", *(f"{title} {index}" for index in range(len(weights)))]
    _, found = _evaluation(references, names, dataset, protocols, folder).measure()
    return [item._replace(encoder=title) for item in found if item.encoder != "starter"]


def measure_base(
    references: dict[str, str], dataset: Path, protocols: Sequence[Protocol], folder: Path
) -> list[Measurement]:
    """All findings about encoders that nobody has post-trained; `references` by their titles."""
    evaluation = _evaluation(
        list(references.values()), list(references), dataset, protocols, folder
    )
    return evaluation.measure()[1]


def _evaluation(
    references: Sequence[str],
    names: Sequence[str],
    dataset: Path,
    protocols: Sequence[Protocol],
    folder: Path,
) -> Evaluation:
    config = EvaluateConfig.model_validate(
        {
            "encoders": references,
            "names": names,
            "dataset": str(dataset),
            "protocols": protocols,
            "seeds": (0,),  # it is the trainings that are repeated
            "cache": str(folder / "features"),
        }
    )
    return Evaluation(config, RunFolder(folder))
