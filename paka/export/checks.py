"""Whether an export computes what its encoder does: both see the same images, and are compared."""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from paka.architectures import Architecture
from paka.choices import Pooling
from paka.encoder import DenseEncoder
from paka.errors import ExportError

# (images, height, width) of a batch.
Shape = tuple[int, int, int]
# RGB in [0, 1], (B, 3, H, W), to patch tokens (B, h, w, D) and image features (B, D), if any.
Answer = Callable[[Tensor], tuple[Tensor, Tensor | None]]


class Check(NamedTuple):
    """One comparison of an export with its encoder.

    `difference` is the largest absolute one of any number; `allowed` is None where nothing is asked
    of it, since the other library computes something else there.
    """

    target: str
    what: str
    shape: Shape
    difference: float
    allowed: float | None

    @property
    def passed(self) -> bool:
        """Whether the export may be used."""
        return self.allowed is None or self.difference <= self.allowed

    def __str__(self) -> str:
        """One line for people."""
        images, height, width = self.shape
        limit = "another library's own" if self.allowed is None else f"allowed {self.allowed:.1g}"
        return (
            f"{self.target}: {self.what}, {images} x {height} x {width} pixels: "
            f"largest difference {self.difference:.1g} ({limit})"
        )


def native_shape(architecture: Architecture) -> Shape:
    """Two images of the size that the encoder was made for."""
    return 2, architecture.size, architecture.size


def other_shape(architecture: Architecture) -> Shape:
    """One image of another size, not square, for which position embeddings must be resized."""
    patch = architecture.patch_size
    rows = architecture.size // patch // 2 + 1
    return 1, rows * patch, (rows + 2) * patch


def compare(
    target: str,
    encoder: DenseEncoder,
    answer: Answer,
    shapes: Iterable[Shape],
    tolerance: float | None,
    pooling: Pooling = "native",
) -> list[Check]:
    """Give the same random images to the encoder and its export.

    Args:
        target: what the export is called.
        encoder: in eval mode, on the CPU, in float32.
        answer: what the export makes of images.
        tolerance: largest difference allowed, where features are larger than one as a share of the
            largest of them: so far apart are two float32 computations of one formula.
        pooling: which image features of the encoder the export's are.
    """
    generator = torch.Generator().manual_seed(0)
    found = []
    for shape in shapes:
        images = torch.rand(shape[0], 3, *shape[1:], generator=generator)
        with torch.inference_mode():
            mine = encoder(encoder.standardise(images), pooling=pooling)
            theirs = answer(images)
        for name, one, other in zip(mine._fields, mine, theirs, strict=True):
            if other is not None:
                found.append(_check(target, name.replace("_", " "), shape, one, other, tolerance))
    return found


def require(checks: Sequence[Check]) -> None:
    """Raise ExportError, naming the differences that are too large, unless all checks passed."""
    failed = [str(check) for check in checks if not check.passed]
    if failed:
        raise ExportError(
            f"the export does not compute what the encoder does, and was not kept: "
            f"{'; '.join(failed)}"
        )


def library(name: str) -> Any:
    """Import what an export is made or checked with.

    Raises:
        ExportError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ExportError(
            f"{name} is needed for this export and its check ({error}); "
            "pip install 'paka-service[export]'"
        ) from None


def _check(
    target: str, what: str, shape: Shape, one: Tensor, other: Tensor, tolerance: float | None
) -> Check:
    if one.shape != other.shape:
        raise ExportError(
            f"the export gives {what} of shape {tuple(other.shape)} instead of {tuple(one.shape)}"
        )
    difference = (one - other).abs().max().item()
    if difference != difference:
        difference = float("inf")  # NaN must not pass
    allowed = None if tolerance is None else tolerance * max(1.0, one.abs().max().item())
    return Check(target, what, shape, difference, allowed)
