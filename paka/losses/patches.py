"""What the losses share: the check of their input, and patches as vectors of length one."""

import torch
from torch import Tensor


def check_patches(student: Tensor, teacher: Tensor, valid: Tensor | None) -> None:
    """Compare the shapes and dtypes of a loss's input.

    Args:
        student: (B, N, D_s) floating point.
        teacher: (B, N, D_t) floating point.
        valid: (B, N) bool, or None.

    Raises:
        ValueError: a shape or a dtype does not fit.
    """
    for name, features in (("student", student), ("teacher", teacher)):
        if features.dim() != 3 or 0 in features.shape[1:]:
            raise ValueError(f"{name} must have shape (B, N, D), got {tuple(features.shape)}")
        if not features.is_floating_point():
            raise ValueError(f"{name} must be floating point, got {features.dtype}")
    if student.shape[:2] != teacher.shape[:2]:
        raise ValueError(
            "student and teacher must have the same B and N, "
            f"got {tuple(student.shape)} and {tuple(teacher.shape)}"
        )
    if valid is not None and valid.shape != student.shape[:2]:
        raise ValueError(
            f"valid must have shape {tuple(student.shape[:2])}, got {tuple(valid.shape)}"
        )
    if valid is not None and valid.dtype != torch.bool:
        raise ValueError(f"valid must be bool, True where a patch counts, got {valid.dtype}")


def unit_vectors(features: Tensor, valid: Tensor, dtype: torch.dtype) -> Tensor:
    """Bring each patch of `features` (B, N, D) to length one; masked and zero patches are zero.

    Dividing by the largest magnitude first keeps the squares within the dtype, whatever the scale
    of the input; it is a constant to the gradient because the direction does not depend on it.
    """
    x = torch.where(valid[..., None], features.to(dtype), 0)  # not a product: 0 x NaN is NaN
    largest = x.detach().abs().amax(2, keepdim=True)
    x = x / torch.where(largest == 0, 1, largest)
    length = torch.linalg.vector_norm(x, dim=2, keepdim=True)
    return x / torch.where(length == 0, 1, length)
