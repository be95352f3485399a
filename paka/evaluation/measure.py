"""From features and masks to scores: each protocol with the conventions that a report uses."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paka.data.folder import ImageFiles
from paka.encoder import DenseEncoder
from paka.evaluation.config import EvaluationFields, Protocol
from paka.evaluation.datasets import IGNORE
from paka.evaluation.in_context import in_context_predictions
from paka.evaluation.inputs import SplitInputs
from paka.evaluation.knn import knn_multilabel_votes, knn_scores
from paka.evaluation.linear import linear_predictions
from paka.evaluation.overclustering import cluster_predictions
from paka.evaluation.probes import Probe, ProbeSample
from paka.evaluation.scores import Accuracy, BalancedAccuracy, MeanIoU, Number, Score

Progress = Callable[[int, int], None]
PICTURES = 8  # validation images on a report's page
PROBED = 32  # validation images that the probes look at
_ABOUT_BASE = ("cka_to_base", "neighbour_consistency")


class Sample(NamedTuple):
    """What one encoder makes of a data set, and what is asked of it.

    `labels` are the classes of the training and validation images as a whole, int (n,), or None.
    `images` are the validation images' files; `base` is the encoder that others are held against.
    """

    encoder: DenseEncoder
    base: DenseEncoder
    images: Sequence[Path]
    train: SplitInputs
    val: SplitInputs
    labels: tuple[np.ndarray, np.ndarray] | None
    num_classes: int
    settings: EvaluationFields
    device: str


class Measured(NamedTuple):
    """Scores by metric; `pictures` are predictions uint8 (m, size, size) for `shown_images`."""

    scores: dict[str, Score]
    pictures: np.ndarray | None = None


def repeats(protocol: Protocol, settings: EvaluationFields) -> tuple[int, ...]:
    """The seeds to measure under: the first alone if there is no chance in the protocol."""
    chance = protocol in ("linear", "overclustering") or (
        protocol == "in_context" and settings.in_context.memory is not None
    )
    return settings.seeds if chance else settings.seeds[:1]


def shown_images(images: int) -> np.ndarray:
    """The validation images, evenly spaced, whose predictions are kept for the page."""
    count = min(images, PICTURES)
    return ((np.arange(count) + 0.5) * images / count).astype(int)


def in_context(sample: Sample, seed: int, progress: Progress) -> Measured:
    """`miou` as open-hummingbird-eval counts, and `miou_strict`: classes stand for themselves,
    absent ones are skipped, ignored pixels are no label in the memory.
    """
    train, val, asked = sample.train, sample.val, sample.settings.in_context
    classes = sample.num_classes
    has_ignored = any(IGNORE in mask for mask in train.masks)
    steps = parts(progress, 2 if has_ignored else 1)

    def predict(ignored: str) -> np.ndarray:
        return in_context_predictions(
            train.patch_tokens,
            train.masks,
            val.patch_tokens,
            num_classes=classes,
            out_size=_size(val),
            k=asked.k,
            temperature=asked.temperature,
            memory=asked.memory,
            ignored=ignored,  # type: ignore[arg-type]
            seed=seed,
            device=sample.device,
            progress=next(steps),
        )

    reference = predict("background")
    strict = predict("leave_out") if has_ignored else reference
    scores: dict[str, Score] = {
        "miou": MeanIoU.of(reference, val.masks, classes, classes, "hungarian", "zero"),
        "miou_strict": MeanIoU.of(strict, val.masks, classes, classes, "identity", "skip"),
    }
    return Measured(scores, strict[shown_images(len(strict))])


def linear(sample: Sample, seed: int, progress: Progress) -> Measured:
    """`miou` of one linear layer on frozen features; absent classes are skipped."""
    train, val, asked = sample.train, sample.val, sample.settings.linear
    predicted = linear_predictions(
        train.patch_tokens,
        train.masks,
        val.patch_tokens,
        num_classes=sample.num_classes,
        out_size=_size(val),
        epochs=asked.epochs,
        lr=asked.lr,
        seed=seed,
        device=sample.device,
        progress=progress,
    )
    classes = sample.num_classes
    score = MeanIoU.of(predicted, val.masks, classes, classes, "identity", "skip")
    return Measured({"miou": score}, predicted[shown_images(len(predicted))])


def overclustering(sample: Sample, seed: int, progress: Progress) -> Measured:
    """`miou_hungarian_K` (one cluster for each class) and `miou_many_to_one_K` (each cluster
    stands for the class most of it is) for each number of clusters K; absent classes are skipped.
    """
    val, classes = sample.val, sample.num_classes
    numbers = sample.settings.overclustering.clusters or (classes, 300, 500)
    tokens = int(np.prod(val.patch_tokens.shape[:3]))
    numbers = tuple(dict.fromkeys(min(number, tokens) for number in numbers))
    scores: dict[str, Score] = {}
    for clusters, step in zip(numbers, parts(progress, len(numbers)), strict=True):
        predicted = cluster_predictions(
            val.patch_tokens,
            clusters=clusters,
            out_size=_size(val),
            seed=seed,
            device=sample.device,
            progress=step,
        )
        score = MeanIoU.of(predicted, val.masks, clusters, classes, "hungarian", "skip")
        scores[f"miou_hungarian_{clusters}"] = score
        merged = MeanIoU(score.counts, classes, "many_to_one", "skip")
        scores[f"miou_many_to_one_{clusters}"] = merged
    return Measured(scores)


def knn(sample: Sample, seed: int, progress: Progress) -> Measured:
    """`accuracy` on the images' own classes; without those, `balanced_accuracy` on which classes
    the masks show.
    """
    train, val, k = sample.train, sample.val, sample.settings.knn.k
    features = (train.image_features, val.image_features)
    if sample.labels is not None:
        of_train, of_val = sample.labels
        right = knn_scores(features[0], of_train, features[1], of_val, k=k, device=sample.device)
        return Measured({"accuracy": Accuracy(right)})
    shown = [classes_shown(inputs.masks, sample.num_classes) for inputs in (train, val)]
    voted = knn_multilabel_votes(features[0], shown[0], features[1], k=k, device=sample.device)
    return Measured({"balanced_accuracy": BalancedAccuracy(voted, shown[1])})


def probes(sample: Sample, seed: int, progress: Progress) -> Measured:
    """What needs no label: see `paka.evaluation.probes`. Patches of another size than the base's
    cannot be compared with its patches one by one; then only the other probes are there.
    """
    encoder, size = sample.encoder, sample.settings.size
    patch = encoder.architecture.patch_size
    view_size = max(size // 2 // patch, 1) * patch
    images = ProbeSample.load(ImageFiles(map(str, sample.images)), PROBED, size, view_size)
    comparable = patch == sample.base.architecture.patch_size
    base = (sample.base if comparable else encoder).to(sample.device)
    values = Probe(base, images).measure(encoder.to(sample.device))
    return Measured(
        {
            name: Number(value, "share" if name == "neighbour_consistency" else "number")
            for name, value in values.items()
            if comparable or name not in _ABOUT_BASE
        }
    )


def classes_shown(masks: np.ndarray, num_classes: int) -> np.ndarray:
    """Which classes each of the masks (n, H, W) shows: bool (n, C)."""
    shown = np.zeros((len(masks), IGNORE + 1), bool)
    for image, mask in enumerate(masks):
        shown[image, np.unique(mask)] = True
    return shown[:, :num_classes]


def _size(inputs: SplitInputs) -> tuple[int, int]:
    return inputs.masks.shape[1], inputs.masks.shape[2]


def parts(progress: Progress, count: int) -> Iterator[Progress]:
    """Cut a progress into `count` equal parts, one after the other."""

    def part(index: int) -> Progress:
        return lambda done, total: progress(index * total + done, count * total)

    return (part(index) for index in range(count))
