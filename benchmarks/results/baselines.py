"""What the starter must beat: features that nobody has trained."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from paka.evaluation.datasets import LabelledImages
from paka.evaluation.in_context import in_context_predictions
from paka.evaluation.inputs import SplitInputs
from paka.evaluation.report import Measurement
from paka.evaluation.scores import Finding, MeanIoU


def raw_colours(files: Sequence[Path], size: int, patch: int, cells: int) -> np.ndarray:
    """Mean colours of `cells` x `cells` parts of each patch, (n, h, w, 3 cells^2) in -1..1."""
    side, part = size // patch, patch // cells
    found = []
    for file in files:
        image = Image.open(file).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels = np.asarray(image, dtype=np.float32) / 127.5 - 1
        blocks = pixels.reshape(side, cells, part, side, cells, part, 3).mean((2, 5))
        found.append(blocks.transpose(0, 2, 1, 3, 4).reshape(side, side, -1))
    return np.stack(found)


def colour_measurement(
    name: str, data: LabelledImages, train: SplitInputs, val: SplitInputs, cells: int
) -> Measurement:
    """In-context segmentation by raw colours, centred, which suits a search by cosine."""
    size, patch = val.masks.shape[1], val.masks.shape[1] // val.patch_tokens.shape[1]
    of_train = raw_colours(data.train.images, size, patch, cells)
    of_val = raw_colours(data.val.images, size, patch, cells)
    mean = of_train.mean((0, 1, 2))
    predicted = in_context_predictions(
        of_train - mean,
        train.masks,
        of_val - mean,
        num_classes=len(data.classes),
        out_size=(size, size),
    )
    classes = len(data.classes)
    score = MeanIoU.of(predicted, val.masks, classes, classes, "hungarian", "zero")
    return Measurement(name, "in_context", 0, Finding({"miou": score}, None, 0.0))
