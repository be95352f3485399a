"""Pictures of a model card: the course of the loss, and what the features of images tell apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paka.config import EncoderConfig
from paka.data.decode import decode
from paka.encoder import DenseEncoder
from paka.errors import EncoderError
from paka.feature_map import feature_map
from paka.plots import feature_picture, loss_curve

SIZE = 448  # shorter side of the encoder's input, about


class Picture(NamedTuple):
    """A file beside the card, and what it shows."""

    file: str
    says: str


def draw_loss(metrics: Sequence[Mapping[str, Any]], folder: Path) -> list[Picture]:
    """Draw the loss, if any was logged."""
    if not any("loss" in row for row in metrics):
        return []
    loss_curve(metrics).savefig(folder / "loss.png")
    return [Picture("loss.png", "Loss, learning rates and throughput over the steps")]


def draw_features(
    encoder: DenseEncoder, base: EncoderConfig | None, images: Sequence[Path], folder: Path
) -> list[Picture]:
    """Draw the features of images before and after; after alone if the base cannot be had.

    Raises:
        DataError: an image cannot be read.
    """
    if not images:
        return []
    encoders = {"after": encoder}
    if before := _load(base):
        encoders = {"before": before, "after": encoder}
    photographs = [decode(path) for path in images]
    rows = [
        (np.asarray(one), {name: feature_map(e, one, SIZE) for name, e in encoders.items()})
        for one in photographs
    ]
    feature_picture(rows).savefig(folder / "features.png")
    when = "before and after" if before else "after"
    says = f"Images, and three principal components of their patch features {when} post-training"
    return [Picture("features.png", says)]


def _load(base: EncoderConfig | None) -> DenseEncoder | None:
    """The encoder that a training began with; None if it is not known, or not to be had here."""
    if base is None:
        return None
    try:
        return DenseEncoder.from_config(base).eval().requires_grad_(False)
    except EncoderError:
        return None
