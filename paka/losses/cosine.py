"""Plain patch distillation: every patch of the student points where the teacher's does."""

import torch
from torch import Tensor, nn

from paka.losses.patches import check_patches, unit_vectors


class CosineDistillationLoss(nn.Module):
    """One minus the cosine between the student's and the teacher's patch at the same place.

        L = 1 - <s_i, t_i> / (|s_i| |t_i|)

    It lies in [0, 2]. Each patch is compared by itself, without its relations to the others: the
    control for `PatchKernelAlignmentLoss`. The loss is the mean over all valid patches of the
    batch; a patch that is zero on either side costs 1.

    Example:
        >>> loss = CosineDistillationLoss()
        >>> loss(torch.randn(2, 49, 256), torch.randn(2, 49, 256)).shape
        torch.Size([])
    """

    def forward(self, student: Tensor, teacher: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar: float32, or float64 for float64 input.

        Args:
            student: (B, N, D) floating point; the only input that receives a gradient.
            teacher: (B, N, D) floating point; patch i of both sides shows the same place.
            valid: (B, N) bool, True where a patch counts; None: all do. What masked patches
                hold, NaN included, has no influence.

        If no patch counts, the loss is a zero whose gradient is zero, so that every process of a
        distributed run takes part in the reduction.

        Raises:
            ValueError: a shape or a dtype does not fit.
        """
        check_patches(student, teacher, valid)
        if student.shape != teacher.shape:
            raise ValueError(
                "student and teacher must have the same D, "
                f"got {tuple(student.shape)} and {tuple(teacher.shape)}"
            )
        if valid is None:
            valid = torch.ones(student.shape[:2], dtype=torch.bool, device=student.device)
        dtype = torch.promote_types(student.dtype, teacher.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        with torch.autocast(student.device.type, enabled=False):
            s = unit_vectors(student, valid, dtype)
            t = unit_vectors(teacher.detach(), valid, dtype)
            losses = valid.to(dtype) - (s * t).sum(2)
            return losses.sum() / valid.sum().clamp_min(1)
