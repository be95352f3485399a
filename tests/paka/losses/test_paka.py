"""What the loss computes: its value and gradient against the formula, the peer and invariances."""

import math
from statistics import median_low

import lightly.loss
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paka.losses import PatchKernelAlignmentLoss
from paka.losses import paka as paka_module
from paka.losses.kernels import LinearFeatures, LinearGram

OPTIONS = [(k, a) for k in ("linear", "rbf") for a in ("cka", "frobenius")]
every_option = pytest.mark.parametrize(("kernel", "alignment"), OPTIONS)
every_form = pytest.mark.parametrize("form", [LinearGram, LinearFeatures])


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def draw_valid(b, n, seed=0, share=0.6):
    return torch.rand(b, n, generator=torch.Generator().manual_seed(seed)) < share


def loss_and_gradient(student, teacher, valid=None, **options):
    student = student.clone().requires_grad_()
    loss = PatchKernelAlignmentLoss(**options)(student, teacher, valid)
    loss.backward()
    return loss.detach(), student.grad


def spread(student, valid=None):
    """Norm of each pair's valid patches about their mean, (B, 1, 1)."""
    weight = torch.ones_like(student[..., :1]) if valid is None else valid[..., None].float()
    mean = (weight * student).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp_min(1)
    return (weight * (student - mean)).flatten(1).norm(dim=1)[:, None, None]


def distance(a, b):
    return math.sqrt(sum((p - q) ** 2 for p, q in zip(a, b, strict=True)))


def bandwidth(points):
    pairs = [distance(a, b) for i, a in enumerate(points) for b in points[:i]]
    return median_low(pairs) if pairs else 1.0


def centred_kernel(points, kernel, width):
    if kernel == "linear":
        k = [[sum(p * q for p, q in zip(a, b, strict=True)) for b in points] for a in points]
    else:
        k = [[math.exp(-(distance(a, b) ** 2) / (2 * width**2)) for b in points] for a in points]
    n = len(points)
    rows = [sum(row) / n for row in k]
    columns = [sum(row[j] for row in k) / n for j in range(n)]
    total = sum(rows) / n
    return [k[i][j] - rows[i] - columns[j] + total for i in range(n) for j in range(n)]


def pair_loss(student, teacher, kernel, alignment, width):
    ks = centred_kernel(student, kernel, width or bandwidth(student))
    kt = centred_kernel(teacher, kernel, bandwidth(teacher))
    if alignment == "frobenius":
        difference = math.fsum((a - b) ** 2 for a, b in zip(ks, kt, strict=True))
        return difference / (math.fsum(a * a for a in ks) + math.fsum(b * b for b in kt))
    cross = math.fsum(a * b for a, b in zip(ks, kt, strict=True))
    norms = math.sqrt(math.fsum(a * a for a in ks)) * math.sqrt(math.fsum(b * b for b in kt))
    return 1 - cross / norms


def naive_loss(student, teacher, valid, kernel="linear", alignment="cka", widths=None):
    """The formula in plain loops over floats; `widths` fixes the student's bandwidths."""
    losses = []
    for i in range(len(student)):
        keep = [j for j in range(student.shape[1]) if valid is None or valid[i, j]]
        if len(keep) >= 2:
            s, t = student[i][keep].tolist(), teacher[i][keep].tolist()
            losses.append(pair_loss(s, t, kernel, alignment, widths[i] if widths else None))
    return sum(losses) / len(losses) if losses else 0.0


@every_option
@settings(max_examples=40)
@given(
    b=st.integers(1, 3),
    n=st.integers(1, 9),
    d_s=st.integers(1, 6),
    d_t=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    masked=st.booleans(),
)
def test_value_is_the_formulas(kernel, alignment, b, n, d_s, d_t, seed, masked):
    student = draw(b, n, d_s, seed=seed, dtype=torch.float64)
    teacher = draw(b, n, d_t, seed=seed + 1, dtype=torch.float64)
    valid = draw_valid(b, n, seed) if masked else None
    loss = PatchKernelAlignmentLoss(kernel, alignment)(student, teacher, valid)
    assert loss.item() == pytest.approx(
        naive_loss(student, teacher, valid, kernel, alignment), abs=1e-9
    )


@every_option
def test_gradient_is_the_formulas_finite_difference_at_fixed_bandwidth(kernel, alignment):
    student, teacher = draw(2, 7, 3, dtype=torch.float64), draw(2, 7, 4, dtype=torch.float64)
    valid = torch.tensor([[1, 1, 0, 1, 1, 0, 1], [0, 1, 1, 1, 0, 0, 1]], dtype=torch.bool)
    widths = [bandwidth(s[v].tolist()) for s, v in zip(student, valid, strict=True)]
    _, gradient = loss_and_gradient(student, teacher, valid, kernel=kernel, alignment=alignment)
    numeric = torch.zeros_like(student)
    for index in range(student.numel()):
        shift = torch.zeros(student.numel(), dtype=torch.float64)
        shift[index] = 1e-5
        ends = [
            naive_loss(moved, teacher, valid, kernel, alignment, widths)
            for moved in (student + shift.view_as(student), student - shift.view_as(student))
        ]
        numeric.view(-1)[index] = (ends[0] - ends[1]) / 2e-5
    torch.testing.assert_close(gradient, numeric, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("alignment", ["cka", "frobenius"])
@pytest.mark.parametrize(("n", "d_s", "d_t"), [(4, 6, 5), (12, 3, 3), (9, 2, 7)])
def test_linear_gradient_passes_gradcheck(alignment, n, d_s, d_t):
    student = draw(3, n, d_s, dtype=torch.float64).requires_grad_()
    teacher = draw(3, n, d_t, seed=1, dtype=torch.float64)
    loss = PatchKernelAlignmentLoss(alignment=alignment)
    for valid in (None, draw_valid(3, n)):
        assert torch.autograd.gradcheck(lambda x, v=valid: loss(x, teacher, v), student)


@settings(max_examples=60)
@given(
    b=st.integers(1, 4),
    n=st.integers(2, 60),
    d=st.integers(4, 40),
    seed=st.integers(0, 10_000),
    share=st.sampled_from([0.05, 0.5, 1.0]),
)
def test_value_and_gradient_are_lightlys(b, n, d, seed, share):
    teacher = 3 * draw(b, n, d, seed=seed)
    student = teacher + 3 * draw(b, n, d, seed=seed + 1)
    valid = draw_valid(b, n, seed, share)
    loss, gradient = loss_and_gradient(student, teacher, valid)
    student.requires_grad_()
    peer = lightly.loss.PatchKernelAlignmentLoss()(student, teacher, mask=~valid)
    peer.backward()
    torch.testing.assert_close(loss, peer.detach(), atol=1e-5, rtol=0)
    torch.testing.assert_close(gradient, student.grad, atol=1e-5, rtol=0)


@every_form
def test_forms_keep_float32_accuracy_at_1369_patches(form, monkeypatch):
    teacher = draw(2, 1369, 48)
    student = teacher + draw(2, 1369, 48, seed=1) + 3
    expected, gradient = loss_and_gradient(student.double(), teacher.double())
    monkeypatch.setattr(paka_module, "linear", form)
    ours, ours_gradient = loss_and_gradient(student, teacher)
    peer = lightly.loss.PatchKernelAlignmentLoss()(student, teacher)
    assert ours.item() == pytest.approx(expected.item(), abs=1e-6)
    assert ours.item() == pytest.approx(peer.item(), abs=1e-5)
    error = (ours_gradient - gradient).norm() / gradient.norm()
    assert error < 1e-4
    assert loss_and_gradient(teacher, teacher)[0].abs() < 1e-6


@settings(max_examples=40)
@given(
    n=st.integers(2, 80), d=st.integers(1, 50), seed=st.integers(0, 10_000), masked=st.booleans()
)
def test_both_forms_agree(n, d, seed, masked):
    student, teacher = draw(2, n, d, seed=seed), draw(2, n, d, seed=seed + 1)
    valid = draw_valid(2, n, seed) if masked else None
    results = []
    for form in (LinearGram, LinearFeatures):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(paka_module, "linear", form)
            results.append(loss_and_gradient(student, teacher, valid))
    (loss, gradient), (other_loss, other_gradient) = results
    torch.testing.assert_close(loss, other_loss, atol=1e-5, rtol=0)
    size = spread(student, valid)  # the gradient, and what rounding makes of it, grow as 1 / size
    torch.testing.assert_close(size * gradient, size * other_gradient, atol=1e-5, rtol=1e-4)


@every_option
def test_rotation_and_translation_of_either_side_change_nothing(kernel, alignment):
    student, teacher = draw(2, 20, 8), draw(2, 20, 8, seed=1)
    loss = PatchKernelAlignmentLoss(kernel, alignment)
    rotation = torch.linalg.qr(draw(8, 8, seed=2)).Q
    expected = loss(student, teacher)
    torch.testing.assert_close(loss(student @ rotation, teacher), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(loss(student, teacher @ rotation), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(loss(student + 7, teacher - 5), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("kernel", "alignment"), [("linear", "cka"), ("rbf", "cka"), ("rbf", "frobenius")]
)
@pytest.mark.parametrize("n", [10, 40])
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e-3, 1e10, 1e30])
def test_scale_of_either_side_changes_nothing(kernel, alignment, n, scale):
    student, teacher = draw(2, n, 8), draw(2, n, 8, seed=1)
    options = {"kernel": kernel, "alignment": alignment}
    expected, gradient = loss_and_gradient(student, teacher, **options)
    for s, t in ((student * scale, teacher), (student, teacher * scale)):
        loss, scaled_gradient = loss_and_gradient(s, t, **options)
        torch.testing.assert_close(loss, expected, atol=1e-6, rtol=0)
        factor = scale if s is not student else 1.0
        torch.testing.assert_close(scaled_gradient * factor, gradient, atol=1e-6, rtol=1e-4)


def test_linear_frobenius_asks_for_equal_scale_and_ignores_a_common_one():
    teacher = draw(2, 30, 8)
    loss = PatchKernelAlignmentLoss(alignment="frobenius")
    q = 1.5**2  # ratio of the kernels' norms
    assert loss(1.5 * teacher, teacher).item() == pytest.approx(1 - 2 / (q + 1 / q), abs=1e-6)
    assert loss(1e-15 * teacher, 1e15 * teacher).item() == pytest.approx(1)
    noisy = teacher + draw(2, 30, 8, seed=1)
    torch.testing.assert_close(loss(noisy * 1e12, teacher * 1e12), loss(noisy, teacher))
    assert loss(noisy, teacher) >= PatchKernelAlignmentLoss()(noisy, teacher)


@every_option
@pytest.mark.parametrize(("n", "d"), [(49, 64), (200, 32)])
def test_equal_sides_give_zero_loss_and_no_gradient(kernel, alignment, n, d):
    features = draw(2, n, d)
    options = {"kernel": kernel, "alignment": alignment}
    loss, gradient = loss_and_gradient(features, features, draw_valid(2, n), **options)
    assert abs(loss.item()) < 1e-6
    assert gradient.abs().max() < 1e-6


def test_dissimilar_relations_cost_more_than_similar_ones():
    teacher = draw(4, 49, 32)
    loss = PatchKernelAlignmentLoss()
    values = [loss(teacher + level * draw(4, 49, 32, seed=1), teacher) for level in (0, 0.3, 1, 9)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.2
