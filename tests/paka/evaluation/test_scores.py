import numpy as np
import pytest

from paka.evaluation.scores import (
    Accuracy,
    BalancedAccuracy,
    Finding,
    MeanIoU,
    Number,
    load_finding,
    save_finding,
)
from paka.evaluation.segmentation import count_pixels, miou

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.integers(0, 4, (70, 6, 5)).astype(np.uint8)
TRUTH[:, 0] = 255
PREDICTED = np.where(
    RANDOM.random(TRUTH.shape) < 0.5, TRUTH % 4, RANDOM.integers(0, 4, TRUTH.shape)
)
SHOWN, VOTED = RANDOM.random((30, 3)) < 0.5, RANDOM.random((30, 3)) < 0.5
RIGHT = (RANDOM.random(30) < 0.7).astype(float)

SCORES = {
    "identity": MeanIoU.of(PREDICTED, TRUTH, 4, 4, "identity", "skip"),
    "hungarian": MeanIoU.of(PREDICTED, TRUTH, 6, 4, "hungarian", "zero"),
    "accuracy": Accuracy(RIGHT),
    "balanced": BalancedAccuracy(VOTED, SHOWN),
    "rank": Number(12.5),
}


@pytest.mark.parametrize(
    ("predicted", "matching", "absent"),
    [(4, "identity", "skip"), (6, "hungarian", "zero"), (6, "many_to_one", "skip")],
)
def test_mean_iou_of_a_resample_is_that_of_its_images(predicted, matching, absent):
    score = MeanIoU.of(PREDICTED, TRUTH, predicted, 4, matching, absent)
    drawn = RANDOM.integers(0, 70, 70)
    weights = np.stack([np.bincount(drawn, minlength=70), np.ones(70, int)])
    resampled = count_pixels(PREDICTED[drawn], TRUTH[drawn], predicted, 4)
    everything = count_pixels(PREDICTED, TRUTH, predicted, 4)
    expected = [miou(resampled, matching, absent), miou(everything, matching, absent)]
    np.testing.assert_allclose(score.values(weights), expected)
    assert score.total() == pytest.approx(expected[1])


def test_balanced_accuracy_counts_images_with_and_without_a_class_alike():
    shown = np.array([[1, 1, 1], [1, 0, 1], [1, 0, 0], [1, 0, 0]], bool)
    voted = np.array([[1, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1]], bool)
    score = BalancedAccuracy(voted, shown)
    expected = [np.nan, (1 + 2 / 3) / 2, (1 / 2 + 1 / 2) / 2]
    np.testing.assert_allclose(score.per_class(), expected)
    assert score.total() == pytest.approx(np.mean(expected[1:]))
    without_first = score.values(np.array([[0, 2, 1, 1]]))
    assert without_first == pytest.approx((1 + 1 / 2) / 2)  # only the third class is left


def test_accuracy_of_a_resample_weighs_its_images():
    weights = RANDOM.multinomial(30, np.full(30, 1 / 30), 5)
    expected = [np.repeat(RIGHT, row).mean() for row in weights]
    np.testing.assert_allclose(Accuracy(RIGHT).values(weights), expected)


def test_nothing_is_lost_on_the_disk(tmp_path):
    pictures = RANDOM.integers(0, 4, (2, 8, 8)).astype(np.uint8)
    save_finding(tmp_path / "new" / "x.npz", Finding(SCORES, pictures, 1.5))
    found = load_finding(tmp_path / "new" / "x.npz")
    np.testing.assert_array_equal(found.pictures, pictures)
    assert (found.seconds, list(found.scores)) == (1.5, list(SCORES))
    for name, score in SCORES.items():
        other = found.scores[name]
        assert (type(other), other.unit, other.total()) == (type(score), score.unit, score.total())
        weights = np.ones((1, 70 if isinstance(score, MeanIoU) else 30))
        np.testing.assert_array_equal(other.values(weights), score.values(weights))
        np.testing.assert_array_equal(other.per_class(), score.per_class())
