"""The objectives beside PaKA: their values against the formulas, and what they withstand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from paka.config import LossConfig
from paka.losses import (
    CosineDistillationLoss,
    GramAnchoringLoss,
    PatchKernelAlignmentLoss,
    make_loss,
)

every_loss = pytest.mark.parametrize("loss", [CosineDistillationLoss(), GramAnchoringLoss()])


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def draw_valid(b, n):
    return torch.rand(b, n, generator=torch.Generator().manual_seed(3)) < 0.6


def value_and_gradient(loss, student, teacher, valid=None):
    student = student.clone().requires_grad_()
    value = loss(student, teacher, valid)
    value.backward()
    return value.detach(), student.grad


def cosine(a, b):
    product = math.fsum(p * q for p, q in zip(a, b, strict=True))
    return product / math.hypot(*a) / math.hypot(*b)


def naive_cosine(student, teacher, valid):
    pairs = zip(student[valid].tolist(), teacher[valid].tolist(), strict=True)
    costs = [1 - cosine(s, t) for s, t in pairs]
    return sum(costs) / len(costs)


def naive_gram(student, teacher, valid):
    losses = []
    for s, t, v in zip(student, teacher, valid, strict=True):
        s, t = s[v].tolist(), t[v].tolist()
        n = len(s)
        if n >= 2:
            pairs = [(i, j) for i in range(n) for j in range(n)]
            squares = [(cosine(s[i], s[j]) - cosine(t[i], t[j])) ** 2 for i, j in pairs]
            losses.append(sum(squares) / n**2)
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    ("loss", "naive"),
    [(CosineDistillationLoss(), naive_cosine), (GramAnchoringLoss(), naive_gram)],
)
@pytest.mark.parametrize(("b", "n", "d"), [(1, 2, 1), (3, 9, 4), (4, 5, 16)])
def test_value_is_the_formulas(loss, naive, b, n, d):
    student, teacher = draw(b, n, d).double(), draw(b, n, d, seed=1).double()
    valid = draw_valid(b, n)
    valid[0] = True
    assert loss(student, teacher, valid).item() == pytest.approx(naive(student, teacher, valid))
    everything = torch.ones_like(valid)
    assert loss(student, teacher).item() == pytest.approx(naive(student, teacher, everything))


def test_gram_is_the_mean_squared_error_of_dinov3():
    student, teacher = draw(4, 49, 32), draw(4, 49, 32, seed=1)
    unit = [F.normalize(x, dim=-1) for x in (student, teacher)]
    expected = F.mse_loss(*[x @ x.mT for x in unit])
    torch.testing.assert_close(GramAnchoringLoss()(student, teacher), expected)


def test_gram_compares_sides_of_different_dimension():
    assert GramAnchoringLoss()(draw(2, 9, 4), draw(2, 9, 7)) > 0


def test_gram_is_not_centred_and_cosine_is_not_relational():
    student = draw(2, 9, 4)
    shifted, turned = student + 5, student @ torch.linalg.qr(draw(4, 4, seed=2))[0]
    assert PatchKernelAlignmentLoss()(shifted, student) < 1e-5
    assert GramAnchoringLoss()(shifted, student) > 0.1
    assert GramAnchoringLoss()(turned, student) < 1e-5
    assert CosineDistillationLoss()(turned, student) > 0.1


@every_loss
def test_gradient_passes_gradcheck(loss):
    student, teacher = draw(3, 6, 4).double().requires_grad_(), draw(3, 6, 4, seed=1).double()
    for valid in (None, draw_valid(3, 6)):
        assert torch.autograd.gradcheck(lambda x, v=valid: loss(x, teacher, v), student)


@every_loss
def test_equal_directions_cost_nothing_and_get_no_gradient(loss):
    teacher = draw(2, 9, 4)
    value, gradient = value_and_gradient(loss, 3 * teacher, teacher)
    assert value.abs() < 1e-6
    assert gradient.abs().max() < 1e-6


@every_loss
@pytest.mark.parametrize("junk", [torch.nan, torch.inf, -3e38, 0.0])
def test_masked_patches_have_exactly_no_influence(loss, junk):
    student, teacher, valid = draw(3, 10, 8), draw(3, 10, 8, seed=1), draw_valid(3, 10)
    expected = value_and_gradient(loss, student, teacher, valid)
    dirty = [torch.where(valid[..., None], x, junk) for x in (student, teacher)]
    value, gradient = value_and_gradient(loss, *dirty, valid)
    assert torch.equal(value, expected[0])
    assert torch.equal(gradient, expected[1])
    assert (gradient[~valid] == 0).all()


def test_gram_counts_pairs_with_at_least_two_valid_patches():
    student, teacher = draw(3, 9, 5), draw(3, 9, 5, seed=1)
    valid = torch.ones(3, 9, dtype=torch.bool)
    valid[0], valid[1, 1:] = False, False
    student[1, 0] = torch.nan  # the one valid patch of a pair that does not count
    value, gradient = value_and_gradient(GramAnchoringLoss(), student, teacher, valid)
    alone, alone_gradient = value_and_gradient(GramAnchoringLoss(), student[2:], teacher[2:])
    torch.testing.assert_close(value, alone)
    torch.testing.assert_close(gradient[2:], alone_gradient)
    assert (gradient[:2] == 0).all()


@every_loss
@pytest.mark.parametrize("b", [0, 2])
def test_no_pair_counts_gives_a_zero_attached_to_the_student(loss, b):
    features = torch.full((b, 6, 4), torch.nan)
    nothing = torch.zeros(b, 6, dtype=torch.bool)
    value, gradient = value_and_gradient(loss, features, features, nothing)
    assert value == 0
    assert torch.equal(gradient, torch.zeros(b, 6, 4))


@every_loss
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.float32, 1e-30),
        (torch.float32, 0.0),
        (torch.float32, 5e37),
        (torch.bfloat16, 5e37),
        (torch.float16, 1e4),
    ],
)
def test_loss_and_gradient_are_finite_over_the_whole_range(loss, dtype, scale):
    student, teacher = (draw(2, 9, 6, seed=s, dtype=dtype) * scale for s in (0, 1))
    value, gradient = value_and_gradient(loss, student, teacher)
    assert value.isfinite()
    assert gradient.isfinite().all()
    if scale:
        expected = loss(draw(2, 9, 6), draw(2, 9, 6, seed=1))
        assert value.item() == pytest.approx(expected.item(), abs=0.01)


@every_loss
def test_non_finite_valid_patches_are_not_hidden(loss):
    student = draw(2, 9, 4)
    student[1, 3, 2] = torch.nan
    assert loss(student, draw(2, 9, 4, seed=1)).isnan()


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast_are_compared_in_float32(loss, dtype):
    student, teacher = draw(2, 9, 8, dtype=dtype), draw(2, 9, 8, seed=1, dtype=dtype)
    expected, full = value_and_gradient(loss, student.float(), teacher.float())
    student.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(student, teacher)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    assert torch.equal(student.grad, full.to(dtype))
    assert loss(student.double(), teacher).dtype == torch.float64


@every_loss
def test_teacher_gets_no_gradient_and_input_is_left_alone(loss):
    student, teacher = draw(2, 9, 4).requires_grad_(), draw(2, 9, 4, seed=1).requires_grad_()
    before, valid = (student.detach().clone(), teacher.detach().clone()), draw_valid(2, 9)
    valid[0, 1:] = False
    kept = valid.clone()
    loss(student, teacher, valid).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0
    assert torch.equal(student, before[0])
    assert torch.equal(teacher, before[1])
    assert torch.equal(valid, kept)


@every_loss
def test_nothing_waits_for_a_value_of_the_input(loss):
    with FakeTensorMode():  # tensors without values: reading one raises
        student = torch.randn(2, 9, 4, requires_grad=True)
        valid = torch.ones(2, 9, dtype=torch.bool)
        loss(student, torch.randn(2, 9, 4), valid).backward()
        assert student.grad.shape == (2, 9, 4)


@every_loss
def test_wrong_input_is_named_in_the_error(loss):
    with pytest.raises(ValueError, match=r"student must have shape \(B, N, D\), got \(3, 4\)"):
        loss(draw(3, 4), draw(2, 3, 4))
    with pytest.raises(ValueError, match="valid must be bool"):
        loss(draw(2, 3, 4), draw(2, 3, 4), torch.ones(2, 3))


def test_cosine_needs_one_dimension():
    with pytest.raises(ValueError, match=r"same D, got \(2, 3, 4\) and \(2, 3, 5\)"):
        CosineDistillationLoss()(draw(2, 3, 4), draw(2, 3, 5))


@pytest.mark.parametrize(
    ("fields", "loss"),
    [
        ({}, PatchKernelAlignmentLoss()),
        ({"kernel": "rbf", "alignment": "frobenius"}, PatchKernelAlignmentLoss("rbf", "frobenius")),
        ({"objective": "cosine"}, CosineDistillationLoss()),
        ({"objective": "gram"}, GramAnchoringLoss()),
    ],
)
def test_the_settings_name_the_loss(fields, loss):
    assert repr(make_loss(LossConfig.model_validate(fields))) == repr(loss)
