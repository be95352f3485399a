from itertools import permutations

import numpy as np
import pytest

from paka.evaluation.segmentation import check_inputs, count_pixels, ious, miou, patch_counts

TRUTH = np.array([[[0, 0], [1, 255]], [[1, 1], [0, 0]]], np.uint8)
PREDICTED = np.array([[[0, 1], [1, 2]], [[2, 2], [0, 1]]], np.uint8)


def test_pixels_are_counted_per_image_by_prediction_and_truth_without_ignored_ones():
    counts = count_pixels(PREDICTED, TRUTH, 3, 2)
    assert counts.tolist() == [[[1, 0], [1, 1], [0, 0]], [[1, 0], [1, 0], [0, 2]]]


def test_an_ignored_pixel_may_be_predicted_as_anything():
    wild = PREDICTED.copy()
    wild[0, 1, 1] = 99
    assert (count_pixels(wild, TRUTH, 3, 2) == count_pixels(PREDICTED, TRUTH, 3, 2)).all()


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        (PREDICTED[:1], TRUTH, r"one shape, got \(1, 2, 2\) and \(2, 2, 2\)"),
        (PREDICTED + 1, TRUTH, "predicted must lie in 0 … 2, got 3"),
        (PREDICTED.astype(np.int16) - 1, TRUTH, "predicted must lie in 0 … 2, got -1"),
        (PREDICTED, TRUTH * 2, r"truth must lie in 0 … 1, got (2|254)"),
    ],
)
def test_pixels_that_cannot_be_counted_are_refused(predicted, truth, message):
    with pytest.raises(ValueError, match=message):
        count_pixels(predicted, truth, 3, 2)


def test_identity_compares_equal_indices():
    counts = np.array([[6, 2], [1, 3]])
    assert ious(counts, "identity").tolist() == [6 / 9, 3 / 6]


def test_counts_of_images_are_added_before_the_ious():
    counts = np.array([[[6, 0], [0, 0]], [[0, 2], [1, 3]]])
    assert ious(counts, "identity").tolist() == [6 / 9, 3 / 6]


def test_identity_needs_as_many_predictions_as_classes():
    with pytest.raises(ValueError, match="3 predictions cannot be 2 classes"):
        ious(np.ones((3, 2)), "identity")


def test_hungarian_undoes_a_renaming():
    counts = np.array([[6, 2, 0], [1, 3, 0], [0, 1, 4]])
    renamed = counts[[2, 0, 1]]
    assert ious(renamed).tolist() == ious(counts, "identity").tolist()


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_hungarian_is_the_best_of_all_assignments(shape):
    counts = np.random.default_rng(0).integers(0, 20, shape)
    predictions, classes = shape
    padded = np.vstack([counts, np.zeros((classes, classes), int)])

    def mean_iou(order):
        hits = [padded[p, c] for c, p in enumerate(order)]
        unions = [padded[p].sum() + padded[:, c].sum() - padded[p, c] for c, p in enumerate(order)]
        return np.mean(np.divide(hits, unions))

    best = max(mean_iou(order) for order in permutations(range(predictions + classes), classes))
    assert miou(counts) == pytest.approx(best)


def test_many_to_one_gives_each_prediction_to_its_commonest_class():
    counts = np.array([[5, 1], [3, 0], [2, 4], [0, 0]])
    assert ious(counts, "many_to_one").tolist() == [8 / 11, 4 / 7]


def test_an_absent_class_counts_zero_or_not_at_all():
    counts = np.array([[4, 0, 0], [0, 3, 0], [0, 1, 0]])
    assert miou(counts, "identity") == pytest.approx((1 + 0.75 + 0) / 3)
    assert miou(counts, "identity", absent="skip") == pytest.approx((1 + 0.75) / 2)
    assert np.isnan(ious(counts, "identity")).tolist() == [False, False, True]


def test_no_labelled_pixel_has_no_strict_mean():
    counts = np.zeros((2, 3, 3))
    assert miou(counts) == 0
    assert np.isnan(miou(counts, absent="skip"))


def test_patches_count_the_pixels_that_lie_in_them():
    mask = np.array([[0, 0, 1, 1], [0, 2, 1, 255], [2, 2, 0, 0], [2, 2, 0, 1]], np.uint8)
    counts = patch_counts(np.stack([mask, mask.T]), (2, 2), 3)
    assert counts[0].tolist() == [[[3, 0, 1], [0, 3, 0]], [[0, 0, 4], [3, 1, 0]]]
    assert counts[1].tolist() == counts[0].transpose(1, 0, 2).tolist()


def test_patches_may_be_longer_than_wide():
    counts = patch_counts(np.array([[[0, 1], [0, 0], [1, 1], [1, 0]]], np.uint8), (2, 1), 2)
    assert counts.tolist() == [[[[3, 1]], [[1, 3]]]]


def test_a_grid_that_does_not_divide_the_mask_is_refused():
    with pytest.raises(ValueError, match="4 x 6 pixels cannot be cut into 3 x 2"):
        patch_counts(np.zeros((1, 4, 6), np.uint8), (3, 2), 2)


def test_a_class_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="masks must lie in 0 … 1, got 2"):
        patch_counts(np.full((1, 4, 4), 2, np.uint8), (2, 2), 2)


@pytest.mark.parametrize(
    ("features", "masks", "num_classes", "message"),
    [
        ((2, 4, 4, 8), (3, 8, 8), 5, r"got \(2, 4, 4, 8\) and \(3, 8, 8\)"),
        ((0, 4, 4, 8), (0, 8, 8), 5, "of the same images"),
        ((2, 16, 8), (2, 8, 8), 5, "of the same images"),
        ((2, 4, 4, 8), (2, 8, 8), 256, "num_classes must lie in 1 … 255, got 256"),
        ((2, 4, 4, 8), (2, 8, 8), 0, "num_classes must lie in 1 … 255, got 0"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(features, masks, num_classes, message):
    with pytest.raises(ValueError, match=message):
        check_inputs(np.zeros(features), np.zeros(masks), num_classes)
