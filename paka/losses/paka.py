"""Patch-level kernel alignment: the student's relations between patches follow the teacher's."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from paka.losses.kernels import Rbf, linear, standardise
from paka.losses.patches import check_patches

Kernel = Literal["linear", "rbf"]
Alignment = Literal["cka", "frobenius"]


class PatchKernelAlignmentLoss(nn.Module):
    """Distance between the centred patch kernels of student and teacher (PaKA, arXiv 2509.05606).

    For one pair, with K_s and K_t the N x N kernels between its valid patches and
    H = I - 11^T / N, C = H K H:

        cka:        L = 1 - <C_s, C_t>_F / (|C_s|_F |C_t|_F)
        frobenius:  L = |C_s - C_t|_F^2 / (|C_s|_F^2 + |C_t|_F^2)

    Both lie in [0, 1], 0 where the centred kernels are equal. `cka` ignores the scale of either
    side; `frobenius` is the same with the arithmetic mean of the squared norms where `cka` has
    the geometric one, so it also asks for equal scale and is never below `cka`.
    The loss is the mean over pairs with at least two valid patches. Where the valid patches of
    one side are all the same up to rounding, no relation can be compared: L is 1, its gradient 0.

    Args:
        kernel: "linear" (x_i . x_j), computed exactly by way of N x N or D x D matrices,
            whichever is cheaper, or "rbf" (Gaussian, its bandwidth the median distance between
            the valid patches of each side and pair, a constant to the gradient).
        alignment: "cka" or "frobenius".

    Raises:
        ValueError: the kernel or the alignment is unknown.

    Example:
        >>> loss = PatchKernelAlignmentLoss()
        >>> student, teacher = torch.randn(2, 49, 256), torch.randn(2, 49, 256)
        >>> loss(student, teacher, valid=torch.ones(2, 49, dtype=torch.bool)).shape
        torch.Size([])
    """

    def __init__(self, kernel: Kernel = "linear", alignment: Alignment = "cka") -> None:
        super().__init__()
        for name, value, known in (
            ("kernel", kernel, get_args(Kernel)),
            ("alignment", alignment, get_args(Alignment)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        self.kernel: Kernel = kernel
        self.alignment: Alignment = alignment

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
        if valid is None and student.shape[1] < 2:
            valid = torch.ones_like(student[..., 0], dtype=torch.bool)
        counts = torch.ones(len(student), dtype=torch.bool, device=student.device)
        if valid is not None:
            counts = valid.sum(1) >= 2
            valid = valid & counts[:, None]
        alignment = _Alignment.apply(student, teacher.detach(), valid, self.kernel, self.alignment)
        losses = torch.where(counts, 1 - alignment, 0)
        return losses.sum() / counts.sum().clamp_min(1)

    def extra_repr(self) -> str:
        """Show the options in the module's representation."""
        return f"kernel={self.kernel!r}, alignment={self.alignment!r}"


class _Alignment(torch.autograd.Function):
    """Alignment (B,) of each pair, with its gradient in closed form.

    With x = <C_s, C_t>, y = |C_s|^2, z = |C_t|^2 and u = ln(|C_s| / |C_t|), both alignments are
    w x / sqrt(yz), where w = 1 for cka and w = 1 / cosh(u) for frobenius. So

        d/dS = w / sqrt(yz) (dx/dS - (1 + v) x / (2 y) dy/dS),  v = 0 for cka, else tanh(u).

    It is a sum of products of centred matrices, of degree -1 in S: centring needs no backward
    pass, and undoing the division by the scale is one factor per pair.
    """

    @staticmethod
    def forward(
        ctx: Any,
        student: Tensor,
        teacher: Tensor,
        valid: Tensor | None,
        kernel: Kernel,
        alignment: Alignment,
    ) -> Tensor:
        dtype = torch.promote_types(student.dtype, teacher.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        with torch.autocast(student.device.type, enabled=False):
            s, t = standardise(student, valid, dtype), standardise(teacher, valid, dtype)
            pair = Rbf(s, t, valid) if kernel == "rbf" else linear(s, t)
            constant = s.constant | t.constant
            cosine = pair.cross / pair.student_norm / pair.teacher_norm
            w, slope = torch.ones_like(cosine), torch.ones_like(cosine)
            if alignment == "frobenius":
                u = (pair.student_norm / pair.teacher_norm).log() + pair.log_scale
                w, slope = 1 / u.cosh(), 1 + u.tanh()
            if ctx.needs_input_grad[0]:
                # The gradient grows as 1 / |S|. Where |S| is subnormal, hold it within the dtype.
                least = 16 * torch.finfo(student.dtype).tiny
                scale = torch.maximum(s.scale, least / s.norm)
                a = 2 * w / pair.student_norm / pair.teacher_norm / scale
                b = -a * slope * pair.cross / pair.student_norm.square()
                a, b = a.masked_fill(constant, 0), b.masked_fill(constant, 0)
                ctx.save_for_backward(*pair.factors(a, b))
                ctx.dtype = student.dtype
            return (w * cosine).masked_fill(constant, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        left, right, *more = ctx.saved_tensors
        with torch.autocast(grad_output.device.type, enabled=False):
            gradient = left @ right
            if more:
                gradient.baddbmm_(*more)
            gradient *= grad_output[:, None, None]
        return gradient.to(ctx.dtype), None, None, None, None
