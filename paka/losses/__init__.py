"""Losses on aligned patches: pure modules that know nothing of encoders, data or the trainer."""

from torch import nn

from paka.config import LossConfig
from paka.losses.cosine import CosineDistillationLoss
from paka.losses.gram import GramAnchoringLoss
from paka.losses.paka import PatchKernelAlignmentLoss

__all__ = [
    "CosineDistillationLoss",
    "GramAnchoringLoss",
    "PatchKernelAlignmentLoss",
    "make_loss",
]


def make_loss(config: LossConfig) -> nn.Module:
    """Return the loss that the settings name: (student, teacher, valid) -> scalar."""
    if config.objective == "cosine":
        return CosineDistillationLoss()
    if config.objective == "gram":
        return GramAnchoringLoss()
    return PatchKernelAlignmentLoss(config.kernel, config.alignment)
