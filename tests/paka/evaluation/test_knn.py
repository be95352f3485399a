import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from paka.evaluation.knn import knn_multilabel_votes, knn_scores

RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.standard_normal((4, 8))
NAMES = np.array([3, 7, 20, 21])


def images(count, spread=1.5):
    """Features (count, 8) of any length around four centres, and their classes."""
    kinds = RANDOM.integers(0, 4, count)
    features = CENTRES[kinds] + spread * RANDOM.standard_normal((count, 8))
    return features * RANDOM.uniform(0.1, 9, (count, 1)), NAMES[kinds]


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (20, 0.07), (20, 1.0)])
def test_scores_are_those_of_a_weighted_classifier_on_cosines(k, temperature):
    train, val = images(200), images(100)
    oracle = KNeighborsClassifier(
        k, metric="cosine", algorithm="brute", weights=lambda far: np.exp((1 - far) / temperature)
    )
    expected = oracle.fit(*train).predict(val[0]) == val[1]
    found = knn_scores(*train, *val, k=k, temperature=temperature)
    assert found.tolist() == expected.tolist()
    assert 0.4 < found.mean() < 0.95


def test_near_neighbours_outvote_many_far_ones():
    train = np.array([[1, 0.01], [1, 1], [1, 1.1], [1, 1.2]])
    labels = np.array([5, 6, 6, 6])
    val = np.array([[1.0, 0]]), np.array([5])
    assert knn_scores(train, labels, *val, k=4).tolist() == [1]
    assert knn_scores(train, labels, *val, k=4, temperature=10).tolist() == [0]


def test_a_class_never_trained_on_is_never_right():
    train = images(30)
    assert knn_scores(*train, train[0], np.full(30, 99), k=1).sum() == 0


def test_few_training_images_all_vote():
    train = images(5)
    assert knn_scores(*train, *images(10), k=20).shape == (10,)


def test_images_show_what_their_neighbours_show_more_than_others():
    shown = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [1, 0, 0]], bool)
    train = np.eye(4)
    voted = knn_multilabel_votes(train, shown, train, k=1)
    assert voted.tolist() == (shown & [False, True, True]).tolist()  # all show the first


def test_a_rare_class_needs_no_majority():
    shown = np.zeros((40, 1), bool)
    shown[:2] = True  # one in twenty
    train = np.ones((40, 2))
    train[:10, 1] = -1  # one in five of these ten
    val = np.array([[1.0, -1], [1, 1]])
    assert knn_multilabel_votes(train, shown, val, k=10).tolist() == [[True], [False]]


@pytest.mark.parametrize(
    ("train", "labels", "message"),
    [
        ((5, 8), (4,), r"train features .* got \(5, 8\) and \(4,\)"),
        ((5, 8), (5, 2), r"labels \(n,\) of the same images"),
        ((0, 8), (0,), r"got \(0, 8\) and \(0,\)"),
        ((5, 2, 4), (5,), r"must be \(n, D\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(train, labels, message):
    with pytest.raises(ValueError, match=message):
        knn_scores(np.ones(train), np.zeros(labels, int), np.ones((3, 8)), np.zeros(3, int))


def test_masks_labels_are_one_row_an_image():
    with pytest.raises(ValueError, match=r"labels \(n, C\)"):
        knn_multilabel_votes(np.ones((5, 8)), np.zeros(5, bool), np.ones((3, 8)))
