"""Gram anchoring: the student's similarities between patches stay those of the teacher."""

import torch
from torch import Tensor, nn

from paka.losses.patches import check_patches, unit_vectors


class GramAnchoringLoss(nn.Module):
    """Distance between the Gram matrices of student and teacher (DINOv3, arXiv 2508.10104).

    For one pair of crops with N valid patches, X_s and X_t their vectors of length one:

        L = |X_s X_s^T - X_t X_t^T|_F^2 / N^2

    the mean squared difference of the cosines between patches. Unlike the kernels of
    `PatchKernelAlignmentLoss`, the Gram matrices are not centred and not brought to one norm. L
    lies in [0, 4]; the loss is the mean over pairs with at least two valid patches.

    Example:
        >>> loss = GramAnchoringLoss()
        >>> loss(torch.randn(2, 49, 256), torch.randn(2, 49, 256)).shape
        torch.Size([])
    """

    def forward(self, student: Tensor, teacher: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar: float32, or float64 for float64 input.

        Args:
            student: (B, N, D_s) floating point; the only input that receives a gradient.
            teacher: (B, N, D_t) floating point; patch i of both sides shows the same place.
            valid: (B, N) bool, True where a patch counts; None: all do. What masked patches
                hold, NaN included, has no influence.

        If no pair counts, the loss is a zero whose gradient is zero, so that every process of a
        distributed run takes part in the reduction.

        Raises:
            ValueError: a shape or a dtype does not fit.
        """
        check_patches(student, teacher, valid)
        if valid is None:
            valid = torch.ones(student.shape[:2], dtype=torch.bool, device=student.device)
        counts = valid.sum(1) >= 2
        valid = valid & counts[:, None]
        dtype = torch.promote_types(student.dtype, teacher.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        with torch.autocast(student.device.type, enabled=False):
            s = unit_vectors(student, valid, dtype)
            t = unit_vectors(teacher.detach(), valid, dtype)
            differences = (s @ s.mT - t @ t.mT).square().sum((1, 2))
            losses = differences / valid.sum(1).clamp_min(1).square()
            return losses.sum() / counts.sum().clamp_min(1)
