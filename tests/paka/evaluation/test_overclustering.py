import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from paka.evaluation import overclustering
from paka.evaluation.overclustering import cluster_predictions
from paka.evaluation.segmentation import count_pixels, miou


@pytest.fixture(scope="module")
def blobs():
    """Features (10, 4, 6, 8) of 5 directions with a little noise, and which each is of."""
    random = np.random.default_rng(0)
    kinds = random.integers(0, 5, (10, 4, 6))
    lengths = random.uniform(0.2, 5, (10, 4, 6, 1))
    directions = np.eye(8)[kinds] + 0.05 * random.standard_normal((10, 4, 6, 8))
    return (lengths * directions).astype(np.float32), kinds


def test_clusters_are_directions_whatever_the_length(blobs):
    features, kinds = blobs
    found = cluster_predictions(features, clusters=5, out_size=(4, 6))
    assert found.dtype == np.int16
    assert adjusted_rand_score(kinds.ravel(), found.ravel()) == 1


def test_each_pixel_takes_the_cluster_of_its_patch(blobs):
    features, _ = blobs
    patches = cluster_predictions(features, clusters=5, out_size=(4, 6))
    pixels = cluster_predictions(features, clusters=5, out_size=(12, 24))
    assert (pixels == patches.repeat(3, 1).repeat(4, 2)).all()


def test_more_clusters_find_parts_of_classes(scene):
    features, masks = scene
    scores = [
        miou(
            count_pixels(cluster_predictions(features, clusters=k, out_size=(16, 24)), masks, k, 5),
            "many_to_one",
        )
        for k in (5, 150)
    ]
    assert 0.2 < scores[0] < scores[1] < 0.9


def test_clusters_in_a_part_of_the_patches_serve_all(blobs, monkeypatch):
    features, kinds = blobs
    monkeypatch.setattr(overclustering, "POINTS", 60)
    monkeypatch.setattr(overclustering, "POINTS_PER_CLUSTER", 5)
    found = cluster_predictions(features.astype(np.float16), clusters=5, out_size=(4, 6))
    assert adjusted_rand_score(kinds.ravel(), found.ravel()) == 1


def test_the_seed_decides_all_chance(scene):
    features, _ = scene

    def run(seed):
        return cluster_predictions(features, clusters=30, out_size=(4, 6), seed=seed)

    assert (run(0) == run(0)).all()
    assert adjusted_rand_score(run(0).ravel(), run(1).ravel()) < 1


def test_restarts_only_tighten(scene):
    features, _ = scene
    points = overclustering.unit_vectors(features, torch.device("cpu"))

    def tightness(restarts):
        centroids = overclustering._centroids(features, 30, 5, restarts, 0)
        return (points @ centroids.T).max(1).values.mean().item()

    assert tightness(8) > tightness(1)


def test_as_many_clusters_as_patches_do_without_a_word(blobs, capfd):
    features, _ = blobs
    found = cluster_predictions(features[:1], clusters=24, out_size=(4, 6))
    assert len(np.unique(found)) == 24
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("clusters", [0, 241])
def test_clusters_without_a_patch_are_refused(blobs, clusters):
    with pytest.raises(ValueError, match=f"got \\(10, 4, 6, 8\\) and {clusters} clusters"):
        cluster_predictions(blobs[0], clusters=clusters, out_size=(4, 6))


def test_progress_ends_at_the_last_image(blobs):
    seen = []
    cluster_predictions(
        blobs[0], clusters=5, out_size=(4, 6), progress=lambda *counts: seen.append(counts)
    )
    assert seen == [(10, 10)]
