"""Classes of whole images by their nearest neighbours: a guard on what post-training must keep.

Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018:
the k training images most similar by cosine vote, weighted by exp(similarity / temperature).
"""

import numpy as np
import torch

from paka.evaluation.neighbours import nearest, unit_vectors


def knn_scores(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    val_features: np.ndarray,
    val_labels: np.ndarray,
    *,
    k: int = 20,
    temperature: float = 0.07,
    device: str = "cpu",
) -> np.ndarray:
    """Say of each image whether its neighbours name its class; the mean is the accuracy.

    Args:
        train_features: (n, D); val_features: (v, D).
        train_labels: integers (n,); val_labels: (v,), where other classes are never right.
        k: neighbours; all training images if there are fewer.

    Returns:
        float64 (v,), 1 where the class with most votes is right, else 0.

    Raises:
        ValueError: labels that do not fit the features, or no training image.
    """
    _check("train", train_features, train_labels, 1)
    _check("val", val_features, val_labels, 1)
    classes, index = np.unique(train_labels, return_inverse=True)
    one_hot = np.eye(len(classes), dtype=np.float32)[index]
    votes = _votes(train_features, one_hot, val_features, k, temperature, device)
    return (classes[votes.argmax(1)] == val_labels).astype(np.float64)


def knn_multilabel_votes(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    val_features: np.ndarray,
    *,
    k: int = 20,
    temperature: float = 0.07,
    device: str = "cpu",
) -> np.ndarray:
    """Say which classes each image shows, where an image may show several.

    A class is voted for if its weighted share among the neighbours is larger than its share among
    all training images, so that rare classes are found too: made for balanced accuracy.

    Args:
        train_features: (n, D); val_features: (v, D).
        train_labels: bool (n, C), the classes each image shows.
        k: neighbours; all training images if there are fewer.

    Returns:
        bool (v, C).

    Raises:
        ValueError: labels that do not fit the features, or no training image.
    """
    _check("train", train_features, train_labels, 2)
    shown = train_labels.astype(np.float32)
    return _votes(train_features, shown, val_features, k, temperature, device) > shown.mean(0)


def _votes(
    train_features: np.ndarray,
    labels: np.ndarray,
    val_features: np.ndarray,
    k: int,
    temperature: float,
    device: str,
) -> np.ndarray:
    """Weighted share of the neighbours that have each label (v, C), of labels (n, C)."""
    place = torch.device(device)
    search = nearest(unit_vectors(train_features, place))
    similarities, rows = search(unit_vectors(val_features, place), k)
    weights = (similarities / temperature).softmax(-1).cpu().numpy()
    votes = np.zeros((len(val_features), labels.shape[1]), np.float32)
    for weight, row in zip(weights.T, rows.cpu().numpy().T, strict=True):
        votes += weight[:, None] * labels[row]
    return votes


def _check(split: str, features: np.ndarray, labels: np.ndarray, dimensions: int) -> None:
    fit = features.ndim == 2 and labels.ndim == dimensions and len(labels) == len(features)
    if not fit or not len(features):
        shape = "(n,)" if dimensions == 1 else "(n, C)"
        raise ValueError(
            f"{split} features must be (n, D) and labels {shape} of the same images, "
            f"got {features.shape} and {labels.shape}"
        )
