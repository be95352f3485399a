import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from paka.evaluation.linear import linear_predictions
from paka.evaluation.segmentation import count_pixels, miou


def predict(features, masks, val, **settings):
    return linear_predictions(features, masks, val, num_classes=5, **settings)


def patches_of_one_class(random, images):
    """Features (n, 4, 4, 6), masks (n, 8, 8) and classes (n, 4, 4), of uneven scales."""
    classes = random.integers(0, 3, (images, 4, 4))
    centres = np.array([[2, 0, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0]])
    features = (centres[classes] + random.standard_normal((images, 4, 4, 6))) * 10.0 ** np.arange(6)
    return features + 50, classes.repeat(2, 1).repeat(2, 2).astype(np.uint8), classes


def test_the_layer_becomes_the_logistic_regression_of_patches():
    random = np.random.default_rng(0)
    features, masks, classes = patches_of_one_class(random, 200)
    val, _, truth = patches_of_one_class(random, 50)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=1e3))
    oracle.fit(features.reshape(-1, 6), classes.ravel())
    expected = oracle.predict(val.reshape(-1, 6)).reshape(truth.shape)
    found = linear_predictions(features, masks, val, num_classes=3, out_size=(4, 4), epochs=40)
    assert found.dtype == np.uint8
    assert (found == expected).mean() > 0.97
    assert (found == truth).mean() > 0.8


def test_shares_of_classes_are_learnt_and_upsampled(scene):
    features, masks = scene
    found = predict(features[:12], masks[:12], features[12:], out_size=(16, 24), epochs=60)
    assert miou(count_pixels(found, masks[12:], 5, 5), "identity") > 0.5


def test_ignored_pixels_teach_nothing(scene):
    features, masks = scene
    masks = masks.copy()
    masks[:, 8:] = 255
    other = features.copy()
    other[:, 2:] = other[:, 2:][:, :, ::-1]  # the same moments, other neighbours of the labels
    once = predict(features, masks, features, out_size=(4, 6), epochs=3)
    assert (predict(other, masks, features, out_size=(4, 6), epochs=3) == once).all()


def test_the_seed_decides_all_chance(scene):
    features, masks = scene

    def run(seed):
        return predict(features, masks, features, out_size=(16, 24), epochs=2, seed=seed)

    assert (run(0) == run(0)).all()
    assert (run(0) != run(1)).any()


def test_each_epoch_is_progress(scene):
    features, masks = scene
    seen = []
    predict(
        features, masks, features, out_size=(4, 6), epochs=2, progress=lambda *c: seen.append(c)
    )
    assert seen == [(1, 2), (2, 2)]


def test_dead_dimensions_and_half_precision_do(scene):
    features, masks = scene
    dead = np.concatenate([features, np.full_like(features[..., :1], 3)], -1).astype(np.float16)
    found = predict(dead[:12], masks[:12], dead[12:], out_size=(16, 24), epochs=60)
    assert miou(count_pixels(found, masks[12:], 5, 5), "identity") > 0.5


def test_nothing_to_learn_is_refused(scene):
    features, masks = scene
    with pytest.raises(ValueError, match="nothing to learn"):
        predict(features, np.full_like(masks, 255), features, out_size=(4, 6))
