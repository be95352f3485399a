"""How sure a score is: percentile bootstrap over the images of the validation set.

Images are drawn with replacement (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13), and the score is taken anew on each draw. The same `seed` draws the same images for
every encoder, so that `difference` is a paired comparison: what makes an image hard for both
cancels out.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

VALUES = 2**25  # at most so many numbers at a time in one array: 256 MiB


class Interval(NamedTuple):
    """A value and the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float


class Estimate(NamedTuple):
    """A score on all images (`value`, the mean of `per_seed`) and on each resample (R,)."""

    value: float
    per_seed: tuple[float, ...]
    resampled: np.ndarray


def resample_weights(n_images: int, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Return how often each resample draws each image, int64 (resamples, n_images).

    Raises:
        ValueError: no image or no resample.
    """
    if n_images < 1 or resamples < 1:
        raise ValueError(
            f"images and resamples must be at least one each, got {n_images} and {resamples}"
        )
    random = np.random.default_rng(seed)
    return random.multinomial(n_images, np.full(n_images, 1 / n_images), resamples)


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float], n_images: int, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the ends of the 95 % interval of any statistic over images.

    Args:
        statistic: takes how often each image was drawn, int64 (n_images,).

    Raises:
        ValueError: no image or no resample.
    """
    weights = resample_weights(n_images, resamples, seed)
    return percentiles(np.array([statistic(drawn) for drawn in weights]))


def bootstrap_sums(
    totals: np.ndarray,
    statistic: Callable[[np.ndarray], float],
    resamples: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Return a statistic of sums over images, such as the mIoU of pixel counts, on each resample.

    Args:
        totals: (n, ...) what each image adds to the sums.
        statistic: takes sums (...).

    Returns:
        float64 (resamples,).

    Raises:
        ValueError: no image or no resample.
    """
    weights = resample_weights(len(totals), resamples, seed).astype(np.float64)
    flat = totals.reshape(len(totals), -1).astype(np.float64)
    step = max(1, VALUES // flat.shape[1])
    return np.array(
        [
            statistic(drawn.reshape(totals.shape[1:]))
            for start in range(0, resamples, step)
            for drawn in weights[start : start + step] @ flat
        ]
    )


def estimate(
    totals: Sequence[np.ndarray],
    statistic: Callable[[np.ndarray], float],
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Score all images and each resample; with several runs, their scores are averaged.

    Args:
        totals: for each run (seed of the protocol) an array (n, ...), see `bootstrap_sums`.
        statistic, resamples, seed: see `bootstrap_sums`.

    Raises:
        ValueError: no run, no image or no resample.
    """
    if not totals:
        raise ValueError("there must be at least one run to estimate a score from")
    resampled = [bootstrap_sums(run, statistic, resamples, seed) for run in totals]
    scores = tuple(float(statistic(run.sum(0))) for run in totals)
    return Estimate(float(np.mean(scores)), scores, np.mean(resampled, axis=0))


def interval(score: Estimate) -> Interval:
    """Return a score with its 95 % interval."""
    return Interval(score.value, *percentiles(score.resampled))


def difference(score: Estimate, base: Estimate) -> Interval:
    """Return how much higher `score` is than `base`, on the same images and the same resamples.

    Raises:
        ValueError: estimates from different numbers of resamples.
    """
    if len(score.resampled) != len(base.resampled):
        raise ValueError(
            "both estimates must have the same resamples, "
            f"got {len(score.resampled)} and {len(base.resampled)}"
        )
    low, high = percentiles(score.resampled - base.resampled)
    return Interval(score.value - base.value, low, high)


def percentiles(resampled: np.ndarray) -> tuple[float, float]:
    """Return the 2.5th and the 97.5th percentile; resamples without a score (NaN) do not count.

    Such a resample drew only images that say nothing, and is rare. Both ends are NaN if all are.
    """
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)
