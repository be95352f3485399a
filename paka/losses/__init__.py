"""Losses on aligned patches: pure modules that know nothing of encoders, data or the trainer."""

from paka.losses.paka import PatchKernelAlignmentLoss

__all__ = ["PatchKernelAlignmentLoss"]
