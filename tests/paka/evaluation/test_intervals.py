import numpy as np
import pytest

import paka.evaluation.intervals as module
from paka.evaluation.intervals import (
    bootstrap_interval,
    bootstrap_sums,
    difference,
    estimate,
    interval,
    percentiles,
    resample_weights,
)
from paka.evaluation.segmentation import miou

RANDOM = np.random.default_rng(0)
COUNTS = RANDOM.integers(0, 50, (30, 3, 3)).astype(np.int32) + 60 * np.eye(3, dtype=np.int32)


def mean_of(n):
    return lambda sums: float(sums) / n


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
    low, high = bootstrap_interval(lambda drawn: drawn @ values / 400, 400, resamples=2000)
    error = values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_95_of_100_intervals_hold_the_truth():
    random = np.random.default_rng(4)
    held = 0
    for _ in range(200):
        sample = random.exponential(1, 150)
        low, high = percentiles(bootstrap_sums(sample, mean_of(150), resamples=200))
        held += low <= 1 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_sums_of_drawn_images_are_scored(monkeypatch):
    def slow(drawn):
        return miou(np.repeat(COUNTS, drawn, axis=0))

    expected = [slow(drawn) for drawn in resample_weights(30, 50, seed=5)]
    assert bootstrap_sums(COUNTS, miou, 50, seed=5) == pytest.approx(np.array(expected))
    assert bootstrap_interval(slow, 30, 50, seed=5) == pytest.approx(
        percentiles(np.array(expected))
    )
    monkeypatch.setattr(module, "VALUES", 9 * 7)
    assert bootstrap_sums(COUNTS, miou, 50, seed=5) == pytest.approx(np.array(expected))


def test_an_estimate_averages_over_runs():
    other = COUNTS[:, [1, 0, 2]]
    both = estimate([COUNTS, other], lambda sums: miou(sums, "identity"), 40)
    first = estimate([COUNTS], lambda sums: miou(sums, "identity"), 40)
    second = estimate([other], lambda sums: miou(sums, "identity"), 40)
    assert both.per_seed == (first.value, second.value)
    assert both.value == pytest.approx((first.value + second.value) / 2)
    assert both.resampled == pytest.approx((first.resampled + second.resampled) / 2)


def test_an_estimate_lies_in_its_interval():
    score = estimate([COUNTS], miou)
    value, low, high = interval(score)
    assert value == miou(COUNTS)
    assert low < value < high


def test_no_run_is_refused():
    with pytest.raises(ValueError, match="at least one run"):
        estimate([], miou)


def test_the_difference_is_paired():
    hardness = np.random.default_rng(6).normal(0, 10, 100)
    gain = np.random.default_rng(7).normal(0.5, 0.1, 100)
    base = estimate([hardness], mean_of(100))
    score = estimate([hardness + gain], mean_of(100))
    value, low, high = difference(score, base)
    assert value == pytest.approx(gain.mean())
    assert 0.45 < low < value < high < 0.55
    assert interval(score).low < base.value  # each alone would say nothing


def test_a_difference_needs_the_same_resamples():
    with pytest.raises(ValueError, match="got 20 and 30"):
        difference(estimate([COUNTS], miou, 20), estimate([COUNTS], miou, 30))


def test_resamples_without_a_score_do_not_count():
    assert percentiles(np.array([1.0, np.nan, 1.0])) == (1, 1)
    assert np.isnan(percentiles(np.array([np.nan]))).all()
