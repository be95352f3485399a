"""Centred patch kernels of student and teacher: their norms, their inner product, its gradient.

Each class below compares one batch of pairs. With K_s and K_t the centred kernels (B, N, N):

    cross           <K_s, K_t>_F   (B,)
    student_norm    |K_s|_F        (B,)
    teacher_norm    |K_t|_F        (B,)
    log_scale       what the standardised points leave out of ln(|K_s| / |K_t|)   (B,)
    factors(a, b)   one or two pairs of matrices (left, right, ...) whose products add up to
                    a/2 d<K_s, K_t>/dS + b/4 d|K_s|^2/dS   (B, N, D), S the student's points

No form records an autograd graph: the caller's `torch.autograd.Function` uses `factors` instead.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Points(NamedTuple):
    """Patches of one side, centred over the valid ones and brought to magnitude 1.

    features (B, N, D): masked patches are zero. scale (B,): what the input was divided by.
    norm (B,): Frobenius norm of `features`. constant (B,): the valid patches do not differ by
    more than rounding, so that their directions mean nothing.
    """

    features: Tensor
    scale: Tensor
    norm: Tensor
    constant: Tensor


def standardise(features: Tensor, valid: Tensor | None, dtype: torch.dtype) -> Points:
    """Centre `features` (B, N, D) over the patches that `valid` (B, N) marks, None meaning all.

    Dividing by the largest magnitude first keeps every later product within float32, whatever
    the scale of the input, and changes no value of a scale-invariant measure.
    """
    x = features.to(dtype)
    if valid is not None:
        x = torch.where(valid[..., None], x, 0)  # not a product: 0 x NaN is NaN
    flat = x.flatten(1)
    scale = torch.maximum(flat.amax(1), -flat.amin(1))
    scale = torch.where(scale == 0, 1, scale)
    per_pair = scale[:, None, None]
    x = x / per_pair if x is features else x.div_(per_pair)  # never write into the input
    if valid is None:
        count = x.new_full((len(x),), x.shape[1])
        x -= x.mean(1, keepdim=True)
    else:
        count = valid.sum(1).clamp_min(1).to(dtype)
        mean = x.sum(1, keepdim=True) / count[:, None, None]
        x.addcmul_(valid[..., None].to(dtype), mean, value=-1)
    norm = _norm(x)
    rounding = 8 * torch.finfo(dtype).eps * (count * x.shape[2]).sqrt()
    return Points(x, scale, norm, norm <= rounding)


class LinearGram:
    """K = X X^T, through the N x N matrices. Three products of N^2 D."""

    def __init__(self, student: Points, teacher: Points) -> None:
        self.student = student.features
        self.student_kernel = student.features @ student.features.mT
        self.teacher_kernel = teacher.features @ teacher.features.mT
        self.cross = _inner(self.student_kernel, self.teacher_kernel)
        self.student_norm = _norm(self.student_kernel)
        self.teacher_norm = _norm(self.teacher_kernel)
        self.log_scale = _linear_log_scale(student, teacher)

    def factors(self, cross_weight: Tensor, own_weight: Tensor) -> tuple[Tensor, ...]:
        """Return one product: the weighted kernels, times the student's points."""
        weights = self.teacher_kernel * cross_weight[:, None, None]
        weights.addcmul_(self.student_kernel, own_weight[:, None, None])
        return weights, self.student


class LinearFeatures:
    """K = X X^T, through the D x D matrices: <K_s, K_t> = |T^T S|^2. Five products of N D^2."""

    def __init__(self, student: Points, teacher: Points) -> None:
        self.student, self.teacher = student.features, teacher.features
        self.between = self.teacher.mT @ self.student
        self.within = self.student.mT @ self.student
        self.cross = _norm(self.between).square()
        self.student_norm = _norm(self.within)
        self.teacher_norm = _norm(self.teacher.mT @ self.teacher)
        self.log_scale = _linear_log_scale(student, teacher)

    def factors(self, cross_weight: Tensor, own_weight: Tensor) -> tuple[Tensor, ...]:
        """Return two products: T (T^T S) and S (S^T S), weighted."""
        between = self.between * cross_weight[:, None, None]
        within = self.within * own_weight[:, None, None]
        return self.teacher, between, self.student, within


class Rbf:
    """K = exp(-|x_i - x_j|^2 / (2 m^2)), m the median distance of the side's valid pairs i != j.

    If that median is 0, m^2 is their mean squared distance. No gradient flows through m.
    """

    def __init__(self, student: Points, teacher: Points, valid: Tensor | None) -> None:
        self.student = student.features
        self.kernel, self.variance = _rbf_kernel(student, valid)
        self.student_centred = _double_centre(self.kernel, valid)
        self.teacher_centred = _double_centre(_rbf_kernel(teacher, valid)[0], valid)
        self.cross = _inner(self.student_centred, self.teacher_centred)
        self.student_norm = _norm(self.student_centred)
        self.teacher_norm = _norm(self.teacher_centred)
        self.log_scale = torch.zeros_like(self.cross)

    def factors(self, cross_weight: Tensor, own_weight: Tensor) -> tuple[Tensor, ...]:
        """Return one product: the graph Laplacian of -weights x kernel, times the points."""
        weights = self.teacher_centred * cross_weight[:, None, None]
        weights.addcmul_(self.student_centred, own_weight[:, None, None])
        weights *= self.kernel / self.variance[:, None, None]
        weights.diagonal(dim1=1, dim2=2).sub_(weights.sum(2))
        return weights, self.student


def linear(student: Points, teacher: Points) -> LinearGram | LinearFeatures:
    """Return the exact form of the linear kernel that takes fewer multiplications.

    With features of one dimension D this is the Gram form up to N = 5/3 D.
    """
    _, n, d_s = student.features.shape
    d_t = teacher.features.shape[2]
    gram = n * (2 * d_s + d_t)
    features = 2 * d_s * (d_s + d_t) + d_t * d_t
    return LinearGram(student, teacher) if gram <= features else LinearFeatures(student, teacher)


def _linear_log_scale(student: Points, teacher: Points) -> Tensor:
    return 2 * (student.scale.log() - teacher.scale.log())


def _norm(matrices: Tensor) -> Tensor:
    # Row by row: one running float32 sum over a million entries would lose two digits.
    rows: Tensor = torch.linalg.vector_norm(matrices, dim=2)
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1)
    return norms


def _inner(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum((1, 2))


def _rbf_kernel(points: Points, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the kernel (B, N, N) and the squared median distance (B,) of its exponent."""
    x = points.features
    squares = x.square().sum(2)
    distances = torch.baddbmm(squares[:, :, None] + squares[:, None, :], x, x.mT, alpha=-2)
    distances.clamp_min_(0).diagonal(dim1=1, dim2=2).zero_()
    left_out = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
    if valid is not None:
        left_out = left_out | ~(valid[:, :, None] & valid[:, None, :])
    pairs = distances.masked_fill(left_out, torch.nan).flatten(1)
    median, mean = pairs.nanmedian(1).values, pairs.nanmean(1)
    # More than half of the pairs may coincide: their median is no bandwidth.
    variance = torch.where(median > 1e-6 * mean, median, mean).masked_fill(points.constant, 1)
    return torch.exp(distances / (-2 * variance[:, None, None])), variance


def _double_centre(kernel: Tensor, valid: Tensor | None) -> Tensor:
    """Return H K H (B, N, N) over the valid patches, zero elsewhere; K must be symmetric."""
    weight = kernel.new_ones(kernel.shape[:2]) if valid is None else valid.to(kernel.dtype)
    count = weight.sum(1).clamp_min(1)[:, None]
    rows = (kernel @ weight[..., None]).squeeze(2) / count
    total = (rows * weight).sum(1, keepdim=True) / count
    centred = kernel - (rows - total)[:, :, None] - rows[:, None, :]
    return centred * weight[:, :, None] * weight[:, None, :]
