"""Linear segmentation: how far one linear layer on frozen patch features gets.

Pixels' cross-entropy under logits that are constant over a patch is that of the patch's shares of
classes, so the layer learns from one soft label per patch and never sees pixels: this is what makes
it fast. Its logits are upsampled bilinearly only to predict.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from paka.evaluation.in_context import chunks
from paka.evaluation.segmentation import check_inputs, patch_counts

PATCHES = 2048  # about so many in a batch, always whole images


def linear_predictions(
    train_features: np.ndarray,
    train_masks: np.ndarray,
    val_features: np.ndarray,
    *,
    num_classes: int,
    out_size: tuple[int, int],
    epochs: int = 20,
    lr: float = 1e-2,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Train one linear layer on labelled patches and segment images with it.

    Features are standardised by the mean and the deviation of each dimension over the training
    patches. Ignored pixels count neither in a patch's shares nor in its weight.

    Args:
        train_features: (n, h, w, D) of any floating type; may lie on the disk (memmap).
        train_masks: (n, H, W) class indices, 255 = ignored; h divides H, and w divides W.
        val_features: (v, h', w', D).
        out_size: (height, width) of the predictions in pixels.
        epochs: passes over the training images.
        lr: of AdamW at the start; falls to 0 along a cosine.
        seed: of the first weights and the order of images.
        device: where to train and predict.
        progress: called with (epochs done, epochs in all).

    Returns:
        uint8 (v, height, width) class indices.

    Raises:
        ValueError: shapes that do not fit, a class out of range, or no labelled pixel.
    """
    check_inputs(train_features, train_masks, num_classes)
    place = torch.device(device)
    layer = _Standardised(*_moments(train_features), num_classes, seed).to(place)
    labels = _labels(train_masks, (train_features.shape[1], train_features.shape[2]), num_classes)
    _fit(layer, train_features, labels, epochs, lr, seed, progress)
    return _predict(layer, val_features, out_size)


class _Standardised(nn.Module):
    """A linear layer on standardised features (..., D) -> (..., C)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, num_classes: int, seed: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", 1 / deviation.clamp_min(1e-6))
        self.linear = nn.Linear(len(mean), num_classes)
        nn.init.normal_(self.linear.weight, std=0.01, generator=torch.Generator().manual_seed(seed))
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.linear((features - self.mean) * self.scale)
        return logits


def _moments(features: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and deviation (D,) over all patches."""
    dimensions = features.shape[-1]
    count, total, squares = 0, np.zeros(dimensions), np.zeros(dimensions)
    for part in chunks(len(features), features[0].size):
        rows = features[part].reshape(-1, dimensions).astype(np.float64)
        count += len(rows)
        total += rows.sum(0)
        squares += np.square(rows).sum(0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


def _labels(masks: np.ndarray, grid: tuple[int, int], num_classes: int) -> list[sparse.csr_array]:
    """Pixels per class (h * w, C) of the patches of each image; sparse, as most show one class."""
    labels = []
    for part in chunks(len(masks), masks[0].size + grid[0] * grid[1] * num_classes):
        counts = patch_counts(masks[part], grid, num_classes)
        labels += [sparse.csr_array(c.reshape(-1, num_classes), dtype=np.float32) for c in counts]
    if not any(image.nnz for image in labels):
        raise ValueError("no pixel of the training masks has a label: there is nothing to learn")
    return labels


def _fit(
    layer: _Standardised,
    features: np.ndarray,
    labels: list[sparse.csr_array],
    epochs: int,
    lr: float,
    seed: int,
    progress: Callable[[int, int], None],
) -> None:
    """Minimise the cross-entropy of labelled pixels."""
    images, h, w, _ = features.shape
    batches = min(images, -(-images * h * w // PATCHES))
    optimizer = torch.optim.AdamW(layer.parameters(), lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    random = np.random.default_rng(seed)
    place = layer.mean.device
    for epoch in range(epochs):
        for batch in np.array_split(random.permutation(images), batches):
            tokens = torch.from_numpy(features[batch].astype(np.float32)).flatten(0, 2).to(place)
            pixels = np.concatenate([labels[image].toarray() for image in batch])
            target = torch.from_numpy(pixels).to(place)
            loss = cross_entropy(layer(tokens), target, reduction="sum")
            optimizer.zero_grad()
            (loss / target.sum().clamp_min(1)).backward()
            optimizer.step()
            schedule.step()
        progress(epoch + 1, epochs)


@torch.inference_mode()
def _predict(layer: _Standardised, features: np.ndarray, out_size: tuple[int, int]) -> np.ndarray:
    predicted = np.empty((len(features), *out_size), np.uint8)
    for part in chunks(len(features), layer.linear.out_features * out_size[0] * out_size[1]):
        tokens = torch.from_numpy(features[part].astype(np.float32)).to(layer.mean.device)
        logits = interpolate(layer(tokens).permute(0, 3, 1, 2), out_size, mode="bilinear")
        predicted[part] = logits.argmax(1).to(torch.uint8).cpu().numpy()
    return predicted
