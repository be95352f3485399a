"""What a protocol found out about each image, kept small, from which any resample can be scored.

A `Score` is stored as one .npz file. Its `values` answer, for many resamples of the images at
once, what the metric would have been: intervals and paired differences need nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import numpy as np
from scipy import sparse

from paka.evaluation.segmentation import Absent, Matching, count_pixels, ious, miou
from paka.files import replacing

_IMAGES = 64  # counted at a time
_CELLS = 2**24  # of resampled counts held at a time: 128 MiB


class Score(Protocol):
    """One metric of one encoder under one seed."""

    @property
    def unit(self) -> str:
        """`share` (0 to 1) or `number`."""

    def values(self, weights: np.ndarray) -> np.ndarray | None:
        """The metric (R,) of each resample; `weights` (R, n) say how often each image is in it.

        None: the metric is no statistic of the validation images.
        """

    def total(self) -> float:
        """The metric of the images as they are."""

    def per_class(self) -> np.ndarray | None:
        """The metric of each class (C,), NaN for one that no image shows; None: it has none."""

    def arrays(self) -> dict[str, np.ndarray]:
        """What to store."""


@dataclass(frozen=True, eq=False)
class MeanIoU:
    """Mean IoU of a segmentation, from its pixels by predicted and true class.

    `counts` is sparse, int64 (n, P * C).
    """

    counts: sparse.csr_array
    num_classes: int
    matching: Matching
    absent: Absent
    unit: str = "share"

    @classmethod
    def of(
        cls,
        predicted: np.ndarray,
        truth: np.ndarray,
        num_predicted: int,
        num_classes: int,
        matching: Matching,
        absent: Absent,
    ) -> "MeanIoU":
        """Count the pixels of `predicted` and `truth`, both (n, H, W)."""
        parts = []
        for start in range(0, len(truth), _IMAGES):
            images = slice(start, start + _IMAGES)
            counts = count_pixels(predicted[images], truth[images], num_predicted, num_classes)
            parts.append(sparse.csr_array(counts.reshape(len(counts), -1)))
        counts = sparse.csr_array(sparse.vstack(parts), dtype=np.int64)
        return cls(counts, num_classes, matching, absent)

    def values(self, weights: np.ndarray) -> np.ndarray:
        """See `Score`."""
        chunk = max(1, _CELLS // self.counts.shape[1])
        found = []
        for start in range(0, len(weights), chunk):
            sums = np.asarray(weights[start : start + chunk] @ self.counts)
            found += [miou(self._square(row), self.matching, self.absent) for row in sums]
        return np.array(found)

    def total(self) -> float:
        """See `Score`."""
        return miou(self._square(self.counts.sum(0)), self.matching, self.absent)

    def per_class(self) -> np.ndarray:
        """See `Score`."""
        return ious(self._square(self.counts.sum(0)), self.matching)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Score`."""
        return {
            "data": self.counts.data,
            "indices": self.counts.indices,
            "indptr": self.counts.indptr,
            "shape": np.array(self.counts.shape),
            "num_classes": np.array(self.num_classes),
            "matching": np.array(self.matching),
            "absent": np.array(self.absent),
        }

    @classmethod
    def read(cls, arrays: dict[str, np.ndarray]) -> "MeanIoU":
        """What `arrays` gave."""
        shape = (int(arrays["shape"][0]), int(arrays["shape"][1]))
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        return cls(
            sparse.csr_array(parts, shape=shape),
            int(arrays["num_classes"]),
            cast(Matching, str(arrays["matching"])),
            cast(Absent, str(arrays["absent"])),
        )

    def _square(self, counts: np.ndarray) -> np.ndarray:
        return counts.reshape(-1, self.num_classes)


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Share of images that are classified rightly; `right` is (n,), 0 or 1."""

    right: np.ndarray
    unit: str = "share"

    def values(self, weights: np.ndarray) -> np.ndarray:
        """See `Score`."""
        return np.asarray(weights @ self.right / weights.sum(1))

    def total(self) -> float:
        """See `Score`."""
        return float(self.right.mean())

    def per_class(self) -> None:
        """See `Score`."""

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Score`."""
        return {"right": self.right}

    @classmethod
    def read(cls, arrays: dict[str, np.ndarray]) -> "Accuracy":
        """What `arrays` gave."""
        return cls(arrays["right"])


@dataclass(frozen=True, eq=False)
class BalancedAccuracy:
    """Which classes an image shows: accuracy on the images with and those without a class, equal
    in weight, then the mean over the classes that some images show and others do not.

    `voted` and `shown` are bool (n, C).
    """

    voted: np.ndarray
    shown: np.ndarray
    unit: str = "share"

    def values(self, weights: np.ndarray) -> np.ndarray:
        """See `Score`; NaN for a resample in which every class is shown by all images or none."""
        each = self._per_class(weights)
        known = ~np.isnan(each)
        sums = np.where(known, each, 0).sum(1)
        return np.divide(sums, known.sum(1), out=np.full(len(each), np.nan), where=known.any(1))

    def total(self) -> float:
        """See `Score`."""
        return float(self.values(np.ones((1, len(self.shown))))[0])

    def per_class(self) -> np.ndarray:
        """See `Score`."""
        return self._per_class(np.ones((1, len(self.shown))))[0]

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Score`."""
        return {"voted": self.voted, "shown": self.shown}

    @classmethod
    def read(cls, arrays: dict[str, np.ndarray]) -> "BalancedAccuracy":
        """What `arrays` gave."""
        return cls(arrays["voted"], arrays["shown"])

    def _per_class(self, weights: np.ndarray) -> np.ndarray:
        """Balanced accuracy (R, C)."""
        sides = []
        for side in (self.shown, ~self.shown):
            right = weights @ (side & (self.voted == self.shown))
            there = weights @ side.astype(np.float64)
            sides.append(np.divide(right, there, out=np.full(there.shape, np.nan), where=there > 0))
        return np.asarray((sides[0] + sides[1]) / 2)


@dataclass(frozen=True, eq=False)
class Number:
    """A value without an interval, such as a probe on a fixed sample."""

    value: float
    unit: str = "number"

    def values(self, weights: np.ndarray) -> None:
        """See `Score`."""

    def total(self) -> float:
        """See `Score`."""
        return self.value

    def per_class(self) -> None:
        """See `Score`."""

    def arrays(self) -> dict[str, np.ndarray]:
        """See `Score`."""
        return {"value": np.array(self.value), "unit": np.array(self.unit)}

    @classmethod
    def read(cls, arrays: dict[str, np.ndarray]) -> "Number":
        """What `arrays` gave."""
        return cls(float(arrays["value"]), str(arrays["unit"]))


_KINDS = {kind.__name__: kind for kind in (MeanIoU, Accuracy, BalancedAccuracy, Number)}


class Finding(NamedTuple):
    """What is stored of one protocol, encoder and seed.

    `pictures` are predictions uint8 (m, size, size) for a report's page; `seconds` is how long it
    took to find out.
    """

    scores: dict[str, Score]
    pictures: np.ndarray | None
    seconds: float


def save_finding(path: Path, finding: Finding) -> None:
    """Write it in one piece."""
    stored = {
        f"{metric}/{type(score).__name__}/{name}": array
        for metric, score in finding.scores.items()
        for name, array in score.arrays().items()
    }
    stored["seconds"] = np.array(finding.seconds)
    if finding.pictures is not None:
        stored["pictures"] = finding.pictures
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **stored)


def load_finding(path: Path) -> Finding:
    """Read what `save_finding` wrote."""
    with np.load(path) as file:
        stored = {name: file[name] for name in file.files}
    pictures, seconds = stored.pop("pictures", None), float(stored.pop("seconds"))
    return Finding(dict(_scores(stored)), pictures, seconds)


def _scores(stored: dict[str, np.ndarray]) -> Iterator[tuple[str, Score]]:
    for metric, kind in dict.fromkeys(tuple(name.split("/")[:2]) for name in stored):
        prefix = f"{metric}/{kind}/"
        arrays = {n.removeprefix(prefix): a for n, a in stored.items() if n.startswith(prefix)}
        yield metric, _KINDS[kind].read(arrays)
