"""How sure a score is: percentile bootstrap over the images of the validation set.

Images are drawn with replacement (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13), and the score is taken anew on each draw. The same `seed` draws the same images for
every encoder, so that `difference` is a paired comparison: what makes an image hard for both
cancels out.
"""

from typing import NamedTuple

import numpy as np


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
