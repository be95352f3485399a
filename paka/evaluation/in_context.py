"""In-context segmentation by retrieval (Hummingbird): no training, only labelled memory.

Balažević et al., "Towards In-context Scene Understanding", NeurIPS 2023. Conventions are those of
open-hummingbird-eval 2.0.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from paka.evaluation.neighbours import Search, nearest, unit_vectors
from paka.evaluation.segmentation import (
    Absent,
    Matching,
    check_inputs,
    count_pixels,
    miou,
    patch_counts,
)

Ignored = Literal["background", "leave_out"]
VALUES = 2**24  # at most so many numbers at a time in one array, but at least one image


class Memory(NamedTuple):
    """Labelled patches: `features` (m, D) of length one, `labels` (m, C) shares that sum to 1."""

    features: Tensor
    labels: Tensor


def in_context_miou(
    train_features: np.ndarray,
    train_masks: np.ndarray,
    val_features: np.ndarray,
    val_masks: np.ndarray,
    *,
    num_classes: int,
    k: int = 30,
    temperature: float = 0.02,
    memory: int | None = None,
    ignored: Ignored = "background",
    matching: Matching = "hungarian",
    absent: Absent = "zero",
    seed: int = 0,
    device: str = "cpu",
) -> float:
    """Return the mean IoU of in-context segmentation over the validation set, in 0 … 1.

    The defaults follow open-hummingbird-eval 2.0. Three of its conventions flatter or hurt;
    `ignored="leave_out", matching="identity", absent="skip"` is the strict variant.

    Args:
        val_masks: (n, H, W) class indices, 255 = ignored.
        matching, absent: see `paka.evaluation.segmentation.miou`.
        train_features, train_masks, val_features, num_classes, k, temperature, memory, ignored,
            seed, device: see `in_context_predictions`.

    Raises:
        ValueError: see `in_context_predictions`; or val_masks that do not fit.
    """
    check_inputs(val_features, val_masks, num_classes)
    predicted = in_context_predictions(
        train_features,
        train_masks,
        val_features,
        num_classes=num_classes,
        out_size=(val_masks.shape[1], val_masks.shape[2]),
        k=k,
        temperature=temperature,
        memory=memory,
        ignored=ignored,
        seed=seed,
        device=device,
    )
    return miou(count_pixels(predicted, val_masks, num_classes, num_classes), matching, absent)


@torch.inference_mode()
def in_context_predictions(
    train_features: np.ndarray,
    train_masks: np.ndarray,
    val_features: np.ndarray,
    *,
    num_classes: int,
    out_size: tuple[int, int],
    k: int = 30,
    temperature: float = 0.02,
    memory: int | None = None,
    ignored: Ignored = "background",
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Segment images by the labels of the training patches most similar to theirs.

    A patch gets the labels of its k nearest by cosine similarity, weighted by the softmax of
    similarity / temperature. Labels are upsampled bilinearly before the largest is taken.

    Args:
        train_features: (n, h, w, D) of any floating type; may lie on the disk (memmap).
        train_masks: (n, H, W) class indices, 255 = ignored; h divides H, and w divides W.
        val_features: (v, h', w', D).
        out_size: (height, width) of the predictions in pixels.
        k: neighbours; all of the memory if it holds fewer.
        memory: at most so many training patches, drawn as `build_memory` says; None takes all.
        ignored: ignored pixels count as class 0 in the memory (`background`, as the reference
            has it), or not at all (`leave_out`).
        seed: of the draw of a bounded memory.
        device: where to search.
        progress: called with (images done, images in all).

    Returns:
        uint8 (v, height, width) class indices.

    Raises:
        ValueError: shapes that do not fit, a class out of range, or a memory without a patch.
    """
    place = torch.device(device)
    known = build_memory(
        train_features, train_masks, num_classes, limit=memory, ignored=ignored, seed=seed
    )
    labels, search = known.labels.to(place), nearest(known.features.to(place))
    n, h, w, _ = val_features.shape
    predicted = np.empty((n, *out_size), np.uint8)
    per_image = num_classes * max(out_size[0] * out_size[1], h * w * k)
    for part in chunks(n, per_image):
        queries = unit_vectors(val_features[part], place)
        soft = _attend(search, queries, labels, k, temperature)
        soft = soft.reshape(-1, h, w, num_classes).permute(0, 3, 1, 2)
        pixels = interpolate(soft, out_size, mode="bilinear").argmax(1)
        predicted[part] = pixels.to(torch.uint8).cpu().numpy()
        progress(min(part.stop, n), n)
    return predicted


def _attend(search: Search, queries: Tensor, labels: Tensor, k: int, temperature: float) -> Tensor:
    """Soft labels (q, C) of the queries (q, D)."""
    similarities, rows = search(queries, k)
    attention = (similarities / temperature).softmax(-1)
    return torch.bmm(attention[:, None], labels[rows])[:, 0]


def build_memory(
    features: np.ndarray,
    masks: np.ndarray,
    num_classes: int,
    *,
    limit: int | None = None,
    ignored: Ignored = "background",
    seed: int = 0,
) -> Memory:
    """Collect labelled patches; a patch's label is the share of its pixels per class.

    A bounded memory is drawn as Balažević et al. 2023 draw theirs: each image gives as many patches
    as any other (here give or take one), those with the smallest u * sum of f(c) over the classes
    c in the patch, where f(c) is the number of patches of the image that show c, and u is uniform
    in 0 … 1. So patches with rare classes are likelier to be taken.

    Args:
        features, masks, num_classes, ignored, seed: see `in_context_predictions`.
        limit: at most so many patches.

    Raises:
        ValueError: shapes that do not fit, or a class out of range.
    """
    check_inputs(features, masks, num_classes)
    n, h, w, dimensions = features.shape
    random = np.random.default_rng(seed)
    most = n * h * w if limit is None else limit
    quotas = np.diff(np.arange(n + 1) * most // n)
    vectors, labels = [], []
    for part in chunks(n, h * w * max(num_classes, dimensions) + masks[0].size):
        counts = patch_counts(masks[part], (h, w), num_classes).reshape(-1, h * w, num_classes)
        if ignored == "background":
            counts[..., 0] += masks[0].size // (h * w) - counts.sum(-1)
        taken = _draw(counts, quotas[part], random)
        tokens = np.asarray(features[part]).reshape(-1, h * w, dimensions)
        vectors.append(unit_vectors(tokens[taken], torch.device("cpu")))
        chosen = torch.from_numpy(counts[taken]).float()
        labels.append(chosen / chosen.sum(-1, keepdim=True))
    return Memory(torch.cat(vectors), torch.cat(labels))


def _draw(counts: np.ndarray, quotas: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Which patches (n, p) to take by their counts (n, p, C), at most `quotas` (n,) per image."""
    shown = (counts > 0).astype(np.float32)
    frequency = shown.sum(1)
    score = np.einsum("npc,nc->np", shown, frequency) * random.random(shown.shape[:2])
    labelled = shown.any(-1)
    score[~labelled] = np.inf
    rank = score.argsort(1).argsort(1)
    return (rank < quotas[:, None]) & labelled


def chunks(n: int, per_image: int) -> Iterator[slice]:
    """Cut n images into parts of at most `VALUES` numbers, given how many an image needs."""
    size = max(1, VALUES // per_image)
    return (slice(start, start + size) for start in range(0, n, size))
