from datetime import UTC, datetime

import numpy as np
import pytest

from paka.evaluation.config import EvaluateConfig
from paka.evaluation.datasets import open_labelled
from paka.evaluation.report import Measurement, estimate, is_clear, make_report, to_markdown
from paka.evaluation.report_schema import EncoderEntry, Estimate
from paka.evaluation.scores import Accuracy, Finding

ENCODERS = [EncoderEntry(name=n, reference=n, weights_sha256=n) for n in ("base", "ours")]


@pytest.fixture(scope="module")
def data(labelled):
    return open_labelled(labelled)


@pytest.fixture
def report(data):
    """Returns a report on the k-NN accuracy of two encoders by who is right on which image."""

    def make(base, ours):
        found = [
            Measurement(name, "knn", seed, Finding({"accuracy": Accuracy(right)}, None, 0.1))
            for name, seeds in (("base", base), ("ours", ours))
            for seed, right in enumerate(np.asarray(seeds, float))
        ]
        config = EvaluateConfig(encoders=("test_vit@random",), dataset="x", size=64)
        return make_report(config, data, ENCODERS, found, [])

    return make


def test_a_value_is_the_mean_over_seeds_with_an_interval_over_images(report):
    found = report([[1, 0, 0, 0]], [[1, 1, 0, 0], [1, 1, 1, 1]]).find("ours", "knn", "accuracy")
    assert found.per_seed == (0.5, 1.0)
    assert found.value == 0.75
    assert found.low == pytest.approx(0.5)  # by the second seed every resample is right
    assert found.high == pytest.approx(1.0)


def test_a_difference_is_paired_over_the_same_images(report):
    """What both find hard makes each value uncertain, but not the difference."""
    same = report([[1, 0, 0, 1]], [[1, 0, 0, 1]]).find("ours", "knn", "accuracy")
    assert same.low < 0.2
    assert same.difference == Estimate(value=0, low=0, high=0)
    other = report([[0, 1, 1, 0]], [[1, 0, 0, 1]]).find("ours", "knn", "accuracy")
    assert other.difference.value == 0
    assert other.difference.low < -0.5
    assert report([[0] * 4], [[1] * 4]).results[0].difference is None


def test_the_table_marks_clear_differences(report):
    table = to_markdown(report([[0, 0, 0, 0]], [[1, 1, 1, 1]])).splitlines()
    assert table[-3:] == [
        "|  | base | ours |",
        "| --- | ---: | ---: |",
        "| k-NN accuracy | 0.0 ± 0.0 | 100.0 ± 0.0 (**+100.0 ± 0.0**) |",
    ]
    assert "(+0.0 ± 0.0)" in to_markdown(report([[0, 1, 0, 1]], [[0, 1, 0, 1]]))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (Estimate(value=0.3412, low=0.33, high=0.35), "share", "34.1 ± 1.0"),
        (Estimate(value=0.3412), "share", "34.1"),
        (Estimate(value=123.456), "number", "123"),
        (Estimate(value=0.98765), "number", "0.988"),
    ],
)
def test_values_are_written_as_precisely_as_they_are_known(value, unit, text):
    assert estimate(value, unit) == text
    assert estimate(value, unit, signed=True) == f"+{text}"


@pytest.mark.parametrize(
    ("low", "high", "clear"),
    [(0.1, 0.2, True), (-2, -1, True), (-1, 1, False), (None, None, False)],
)
def test_a_difference_is_clear_where_its_interval_leaves_out_zero(low, high, clear):
    assert is_clear(Estimate(value=1, low=low, high=high)) == clear


def test_a_report_says_what_it_is_about(report, data):
    made = report([[1, 0, 1, 0]], [[1, 0, 1, 0]])
    assert (made.dataset, made.classes) == (data.name, ("sky", "ground", "box", "bird"))
    assert (made.train_images, made.val_images, made.settings.size) == (6, 4, 64)
    assert made.versions["torch"]
    assert abs((made.created_at - datetime.now(UTC)).total_seconds()) < 60
