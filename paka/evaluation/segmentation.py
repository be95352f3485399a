"""Scores of segmentations: pixels counted per image, and intersection over union (IoU) of those.

Masks hold a class index per pixel, and `IGNORED` where the truth is not known.
"""

from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

IGNORED = 255
Matching = Literal["identity", "hungarian", "many_to_one"]
Absent = Literal["zero", "skip"]


def count_pixels(
    predicted: np.ndarray, truth: np.ndarray, num_predicted: int, num_classes: int
) -> np.ndarray:
    """Count the pixels of every image by predicted and true class; ignored ones are left out.

    Args:
        predicted: (n, H, W) integers in 0 … num_predicted - 1.
        truth: (n, H, W) class indices in 0 … num_classes - 1, or `IGNORED`.

    Returns:
        int32 (n, num_predicted, num_classes); sums over images are what `ious` takes.

    Raises:
        ValueError: shapes that differ, or an index out of range.
    """
    if predicted.shape != truth.shape:
        raise ValueError(
            f"predicted and truth must have one shape, got {predicted.shape} and {truth.shape}"
        )
    counts = np.empty((len(truth), num_predicted, num_classes), np.int32)
    for image, (mine, true) in enumerate(zip(predicted, truth, strict=True)):
        known = true != IGNORED
        mine, true = mine[known].astype(np.intp), true[known].astype(np.intp)
        _check_range("predicted", mine, num_predicted)
        _check_range("truth", true, num_classes)
        pairs = np.bincount(mine * num_classes + true, minlength=num_predicted * num_classes)
        counts[image] = pairs.reshape(num_predicted, num_classes)
    return counts


def ious(counts: np.ndarray, matching: Matching = "hungarian") -> np.ndarray:
    """Return the IoU of every class, NaN for a class without a true pixel.

    Args:
        counts: (P, C) pixels by predicted and true class, or (n, P, C) per image.
        matching: which class a prediction stands for.
            `identity`: the class of the same index.
            `hungarian`: each class gets one prediction, so that the sum of IoUs is largest;
            predictions left over (P > C) stand for no class.
            `many_to_one`: each prediction stands for the class that most of its pixels have.

    Returns:
        float64 (C,), each in 0 … 1 or NaN.

    Raises:
        ValueError: `identity` with P other than C.
    """
    total = counts.astype(np.float64) if counts.ndim == 2 else counts.sum(0, dtype=np.float64)
    hits, claimed = _matched(total, matching)
    true = total.sum(0)
    return np.divide(hits, claimed + true - hits, out=np.full_like(hits, np.nan), where=true > 0)


def miou(counts: np.ndarray, matching: Matching = "hungarian", absent: Absent = "zero") -> float:
    """Return the mean IoU over classes, in 0 … 1; the defaults are those of Hummingbird.

    Open-hummingbird-eval matches even predictions that are classes already, which flatters, and
    counts classes without a true pixel as 0, which hurts. Strict is `identity` with `skip`.

    Args:
        counts, matching: see `ious`.
        absent: whether a class without a true pixel counts 0 or is left out of the mean, which is
            NaN if all are.
    """
    each = ious(counts, matching)
    if absent == "zero":
        return float(np.nan_to_num(each).mean())
    present = each[~np.isnan(each)]
    return float(present.mean()) if len(present) else float("nan")


def _matched(total: np.ndarray, matching: Matching) -> tuple[np.ndarray, np.ndarray]:
    """Per class, the pixels rightly predicted, and all the pixels predicted."""
    predictions, classes = total.shape
    sizes = total.sum(1)
    hits, claimed = np.zeros(classes), np.zeros(classes)
    if matching == "identity":
        if predictions != classes:
            raise ValueError(f"{predictions} predictions cannot be {classes} classes: match them")
        return np.diagonal(total).copy(), sizes
    if matching == "many_to_one":
        winner = total.argmax(1)
        np.add.at(hits, winner, total.max(1))
        np.add.at(claimed, winner, sizes)
        return hits, claimed
    union = sizes[:, None] + total.sum(0) - total
    rows, columns = linear_sum_assignment(total / np.maximum(union, 1), maximize=True)
    hits[columns], claimed[columns] = total[rows, columns], sizes[rows]
    return hits, claimed


def patch_counts(masks: np.ndarray, grid: tuple[int, int], num_classes: int) -> np.ndarray:
    """Count the pixels of each class in every patch; ignored pixels are left out.

    Args:
        masks: (n, H, W) class indices or `IGNORED`; H and W are multiples of the grid's sides.
        grid: (h, w), patches down and across.

    Returns:
        int64 (n, h, w, num_classes).

    Raises:
        ValueError: a grid that does not divide the masks, or a class out of range.
    """
    n, height, width = masks.shape
    h, w = grid
    if height % h or width % w:
        raise ValueError(
            f"masks of {height} x {width} pixels cannot be cut into {h} x {w} equal patches"
        )
    known = masks != IGNORED
    _check_range("masks", masks[known], num_classes)
    patches = np.arange(n * h * w).reshape(n, h, 1, w, 1)
    keys = masks.reshape(n, h, height // h, w, width // w) + patches * num_classes
    found = np.bincount(keys[known.reshape(keys.shape)], minlength=n * h * w * num_classes)
    return found.reshape(n, h, w, num_classes)


def check_inputs(features: np.ndarray, masks: np.ndarray, num_classes: int) -> None:
    """Raise ValueError unless these are features and masks of the same images.

    Args:
        features: must be (n, h, w, D), n at least 1.
        masks: must be (n, H, W).
        num_classes: must lie in 1 … 255, as masks are of 8 bits.
    """
    if features.ndim != 4 or masks.ndim != 3 or not len(features) == len(masks) > 0:
        raise ValueError(
            "features must be (n, h, w, D) and masks (n, H, W) of the same images, "
            f"got {features.shape} and {masks.shape}"
        )
    if not 1 <= num_classes <= IGNORED:
        raise ValueError(f"num_classes must lie in 1 … {IGNORED}, got {num_classes}")


def _check_range(name: str, indices: np.ndarray, end: int) -> None:
    if indices.size and not 0 <= indices.min() <= indices.max() < end:
        wrong = indices.max() if indices.max() >= end else indices.min()
        raise ValueError(f"{name} must lie in 0 … {end - 1}, got {wrong}")
