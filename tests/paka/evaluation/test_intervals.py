"""Bootstrap intervals over images: they hold the truth as often as they say, and pair well."""

import numpy as np
import pytest

from paka.evaluation.intervals import (
    Estimate,
    difference,
    interval,
    percentiles,
    resample_weights,
)


def mean_of(values, resamples=1000):
    """The estimate of a mean over images."""
    weights = resample_weights(len(values), resamples)
    return Estimate(values.mean(), (values.mean(),), weights @ values / len(values))


def test_each_resample_draws_as_many_images_as_there_are():
    weights = resample_weights(30, 200, seed=1)
    assert weights.shape == (200, 30)
    assert (weights.sum(1) == 30).all()
    assert weights.mean(0) == pytest.approx(np.ones(30), abs=0.3)
    assert (weights == resample_weights(30, 200, seed=1)).all()
    assert (weights != resample_weights(30, 200, seed=2)).any()


@pytest.mark.parametrize(("images", "resamples"), [(0, 10), (10, 0)])
def test_nothing_to_draw_is_refused(images, resamples):
    with pytest.raises(ValueError, match=f"at least one each, got {images} and {resamples}"):
        resample_weights(images, resamples)


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(3).normal(5, 2, 400)
    value, low, high = interval(mean_of(values, 2000))
    error = values.std() / np.sqrt(400)
    assert value == values.mean()
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_95_of_100_intervals_hold_the_truth():
    random = np.random.default_rng(4)
    held = 0
    for _ in range(200):
        _, low, high = interval(mean_of(random.exponential(1, 150), 200))
        held += low <= 1 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_the_difference_is_paired():
    hardness = np.random.default_rng(6).normal(0, 10, 100)
    gain = np.random.default_rng(7).normal(0.5, 0.1, 100)
    base = mean_of(hardness)
    score = mean_of(hardness + gain)
    value, low, high = difference(score, base)
    assert value == pytest.approx(gain.mean())
    assert 0.45 < low < value < high < 0.55
    assert interval(score).low < base.value  # each alone would say nothing


def test_a_difference_needs_the_same_resamples():
    with pytest.raises(ValueError, match="got 20 and 30"):
        difference(mean_of(np.arange(9.0), 20), mean_of(np.arange(9.0), 30))


def test_resamples_without_a_score_do_not_count():
    assert percentiles(np.array([1.0, np.nan, 1.0])) == (1, 1)
    assert np.isnan(percentiles(np.array([np.nan]))).all()
