"""Overclustering: K-means of patch features without labels, which name the clusters afterwards.

Ziegler & Asano, "Self-Supervised Learning of Object Parts for Semantic Segmentation", CVPR 2022:
many more clusters than classes show whether the features tell parts of objects apart. Score the
predictions with `paka.evaluation.segmentation.miou`.
"""

from collections.abc import Callable

import faiss
import numpy as np
import torch

from paka.evaluation.in_context import chunks
from paka.evaluation.neighbours import nearest, unit_vectors

POINTS = 200_000  # at most so many patches to find clusters in, but
POINTS_PER_CLUSTER = 256  # no fewer than this for each cluster


def cluster_predictions(
    val_features: np.ndarray,
    *,
    clusters: int,
    out_size: tuple[int, int],
    iterations: int = 20,
    restarts: int = 3,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Cluster patches by direction (spherical K-means); every pixel takes its patch's cluster.

    Args:
        val_features: (n, h, w, D) of any floating type; may lie on the disk (memmap).
        clusters: K, at most the number of patches.
        out_size: (height, width) of the predictions in pixels.
        iterations: of K-means.
        restarts: K-means starts so often, and the tightest clusters stay.
        seed: of the patches to begin with and, in large sets, to find clusters in.
        device: where to assign patches to clusters; they are found on the CPU.
        progress: called with (images assigned, images in all).

    Returns:
        int16 (n, height, width), 0 … clusters - 1.

    Raises:
        ValueError: features of another shape, or more clusters than patches.
    """
    if val_features.ndim != 4 or not 1 <= clusters <= val_features[..., 0].size:
        raise ValueError(
            "features must be (n, h, w, D) with a patch for each cluster, "
            f"got {val_features.shape} and {clusters} clusters"
        )
    place = torch.device(device)
    search = nearest(_centroids(val_features, clusters, iterations, restarts, seed).to(place))
    n, h, w, dimensions = val_features.shape
    rows = np.arange(out_size[0]) * h // out_size[0]
    columns = np.arange(out_size[1]) * w // out_size[1]
    predicted = np.empty((n, *out_size), np.int16)
    for part in chunks(n, h * w * (dimensions + clusters)):
        _, cluster = search(unit_vectors(val_features[part], place), 1)
        grid = cluster.reshape(-1, h, w).to(torch.int16).cpu().numpy()
        predicted[part] = grid[:, rows[:, None], columns]
        progress(min(part.stop, n), n)
    return predicted


def _centroids(
    features: np.ndarray, clusters: int, iterations: int, restarts: int, seed: int
) -> torch.Tensor:
    """K-means' centroids (K, D), of length one."""
    n, h, w, dimensions = features.shape
    most = min(n * h * w, max(POINTS, POINTS_PER_CLUSTER * clusters))
    points = np.sort(np.random.default_rng(seed).choice(n * h * w, most, replace=False))
    image, row, column = np.unravel_index(points, (n, h, w))
    kmeans = faiss.Kmeans(
        dimensions,
        clusters,
        niter=iterations,
        nredo=restarts,
        seed=seed,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=most,
    )
    kmeans.train(unit_vectors(features[image, row, column], torch.device("cpu")).numpy())
    return torch.tensor(kmeans.centroids)
