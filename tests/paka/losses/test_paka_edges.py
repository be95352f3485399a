"""What the loss withstands: masks, degenerate input, precision, wrong input, several processes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from paka.losses import PatchKernelAlignmentLoss

OPTIONS = [(k, a) for k in ("linear", "rbf") for a in ("cka", "frobenius")]
every_option = pytest.mark.parametrize(("kernel", "alignment"), OPTIONS)
SHAPES = [(10, 24), (60, 8)]  # the Gram form and the feature form
every_shape = pytest.mark.parametrize(("n", "d"), SHAPES)


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def draw_valid(b, n):
    return torch.rand(b, n, generator=torch.Generator().manual_seed(3)) < 0.6


def loss_and_gradient(student, teacher, valid=None, **options):
    student = student.clone().requires_grad_()
    loss = PatchKernelAlignmentLoss(**options)(student, teacher, valid)
    loss.backward()
    return loss.detach(), student.grad


@every_option
@every_shape
@pytest.mark.parametrize("junk", [torch.nan, torch.inf, -3e38, 0.0])
def test_masked_patches_have_exactly_no_influence(kernel, alignment, n, d, junk):
    options = {"kernel": kernel, "alignment": alignment}
    student, teacher, valid = draw(3, n, d), draw(3, n, d, seed=1), draw_valid(3, n)
    loss, gradient = loss_and_gradient(student, teacher, valid, **options)
    dirty = [torch.where(valid[..., None], x, junk) for x in (student, teacher)]
    dirty_loss, dirty_gradient = loss_and_gradient(*dirty, valid, **options)
    assert torch.equal(loss, dirty_loss)
    assert torch.equal(gradient, dirty_gradient)
    assert (gradient[~valid] == 0).all()
    kept = [
        PatchKernelAlignmentLoss(**options)(student[i : i + 1, v], teacher[i : i + 1, v])
        for i, v in enumerate(valid)
    ]
    torch.testing.assert_close(loss, torch.stack(kept).mean(), atol=1e-6, rtol=0)


@every_option
def test_pairs_with_fewer_than_two_valid_patches_do_not_count(kernel, alignment):
    options = {"kernel": kernel, "alignment": alignment}
    student, teacher = draw(3, 9, 5), draw(3, 9, 5, seed=1)
    valid = torch.ones(3, 9, dtype=torch.bool)
    valid[0], valid[1, 1:] = False, False
    student[1, 0] = torch.nan  # the one valid patch of a pair that does not count
    loss, gradient = loss_and_gradient(student, teacher, valid, **options)
    alone, alone_gradient = loss_and_gradient(student[2:], teacher[2:], **options)
    torch.testing.assert_close(loss, alone)
    torch.testing.assert_close(gradient[2:], alone_gradient)
    assert (gradient[:2] == 0).all()


@every_option
@pytest.mark.parametrize("b", [0, 2])
def test_no_pair_counts_gives_a_zero_attached_to_the_student(kernel, alignment, b):
    options = {"kernel": kernel, "alignment": alignment}
    for n, valid in ((6, torch.zeros(b, 6, dtype=torch.bool)), (1, None)):
        features = torch.full((b, n, 4), torch.nan)
        loss, gradient = loss_and_gradient(features, features, valid, **options)
        assert loss == 0
        assert torch.equal(gradient, torch.zeros(b, n, 4))


@every_option
@pytest.mark.parametrize("n", [2, 49, 1369])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("masked", [False, True])
def test_constant_student_costs_one_and_gets_no_gradient(kernel, alignment, n, dtype, masked):
    options = {"kernel": kernel, "alignment": alignment}
    student = draw(1, 1, 6, dtype=dtype).expand(1, n, 6) * 0.1
    teacher = draw(1, n, 6, seed=1, dtype=dtype)
    valid = torch.arange(n)[None] % 8 < 7 if masked else None
    loss, gradient = loss_and_gradient(student, teacher, valid, **options)
    assert loss == 1
    assert torch.equal(gradient, torch.zeros_like(student))
    loss, gradient = loss_and_gradient(teacher, student, valid, **options)
    assert loss == 1
    assert torch.equal(gradient, torch.zeros_like(teacher))


@every_option
@every_shape
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.float32, 1e-20),
        (torch.float32, 1e-38),
        (torch.float32, 1e-44),
        (torch.float32, 5e37),
        (torch.bfloat16, 1e-20),
        (torch.bfloat16, 1e-38),
        (torch.bfloat16, 5e37),
        (torch.float16, 1e-3),
        (torch.float16, 1e-7),
        (torch.float16, 1e4),
    ],
)
def test_loss_and_gradient_are_finite_over_the_whole_range(kernel, alignment, n, d, dtype, scale):
    options = {"kernel": kernel, "alignment": alignment}
    student = (draw(2, n, d).clamp(-4, 4) * scale).to(dtype)
    teacher = (draw(2, n, d, seed=1).clamp(-4, 4) * scale).to(dtype)
    for s, t in ((student, teacher), (student, draw(2, n, d, dtype=dtype))):
        loss, gradient = loss_and_gradient(s, t, **options)
        assert 0 <= loss <= 1
        assert gradient.dtype == dtype
        assert gradient.isfinite().all()


@every_option
def test_repeated_patches_have_a_finite_and_moderate_gradient(kernel, alignment):
    student = draw(1, 1, 6).repeat(1, 20, 1)
    student[:, :3] = draw(1, 3, 6, seed=1)  # most pairwise distances are 0
    loss, gradient = loss_and_gradient(
        student, draw(1, 20, 6, seed=2), kernel=kernel, alignment=alignment
    )
    assert 0 < loss <= 1
    assert 0 < gradient.abs().max() < 10


def test_non_finite_valid_patches_are_not_hidden():
    for bad in (torch.nan, torch.inf):
        for n, d in SHAPES:
            student = draw(2, n, d)
            student[0, 0, 0] = bad
            assert PatchKernelAlignmentLoss()(student, draw(2, n, d, seed=1)).isnan()
            assert PatchKernelAlignmentLoss("rbf")(student, draw(2, n, d, seed=1)).isnan()


@every_option
@every_shape
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_input_is_compared_in_float32(kernel, alignment, n, d, dtype):
    options = {"kernel": kernel, "alignment": alignment}
    student, teacher = draw(2, n, d, dtype=dtype), draw(2, n, d, seed=1, dtype=dtype)
    loss, gradient = loss_and_gradient(student, teacher, **options)
    expected, full = loss_and_gradient(student.float(), teacher.float(), **options)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    assert torch.equal(gradient, full.to(dtype))


@every_option
@every_shape
def test_autocast_changes_neither_value_nor_gradient(kernel, alignment, n, d):
    options = {"kernel": kernel, "alignment": alignment}
    student, teacher, valid = draw(2, n, d), draw(2, n, d, seed=1), draw_valid(2, n)
    expected = loss_and_gradient(student, teacher, valid, **options)
    with torch.autocast("cpu", torch.bfloat16):
        loss, gradient = loss_and_gradient(student, teacher, valid, **options)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected[0])
    assert torch.equal(gradient, expected[1])


def test_double_input_is_compared_in_double():
    loss = PatchKernelAlignmentLoss()(draw(1, 5, 3).double(), draw(1, 5, 3, seed=1))
    assert loss.dtype == torch.float64


@every_option
def test_teacher_gets_no_gradient_and_input_is_left_alone(kernel, alignment):
    student, teacher = draw(2, 9, 4).requires_grad_(), draw(2, 9, 4, seed=1).requires_grad_()
    before = student.detach().clone(), teacher.detach().clone()
    valid = draw_valid(2, 9)
    valid[0] = False
    kept = valid.clone()
    PatchKernelAlignmentLoss(kernel, alignment)(student, teacher, valid).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0
    assert torch.equal(student, before[0])
    assert torch.equal(teacher, before[1])
    assert torch.equal(valid, kept)


@every_option
def test_strided_views_are_accepted(kernel, alignment):
    maps = draw(2, 6, 5, 5), draw(2, 6, 5, 5, seed=1)
    views = [x.flatten(2).mT for x in maps]
    options = {"kernel": kernel, "alignment": alignment}
    loss, gradient = loss_and_gradient(*views, **options)
    expected, expected_gradient = loss_and_gradient(*[x.contiguous() for x in views], **options)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, expected_gradient)


@every_option
def test_nothing_waits_for_a_value_of_the_input(kernel, alignment):
    with FakeTensorMode():  # tensors without values: reading one raises
        student = torch.randn(2, 9, 4, requires_grad=True)
        valid = torch.ones(2, 9, dtype=torch.bool)
        loss = PatchKernelAlignmentLoss(kernel, alignment)(student, torch.randn(2, 9, 4), valid)
        loss.backward()
        assert student.grad.shape == (2, 9, 4)


@pytest.mark.parametrize(
    ("n", "d_s", "d_t", "products"),
    [
        (16, 16, 16, 3 * 16 * 16 * 16),
        (60, 12, 12, 5 * 60 * 12 * 12),
        (20, 12, 12, 3 * 20 * 20 * 12),
        (21, 12, 12, 5 * 21 * 12 * 12),
        (30, 12, 100, 30 * 30 * (2 * 12 + 100)),
        (30, 100, 2, 30 * 30 * (2 * 100 + 2)),
        (90, 12, 20, 90 * (2 * 12 * 12 + 2 * 12 * 20 + 20 * 20)),
    ],
)
def test_the_form_with_fewer_multiplications_is_taken(n, d_s, d_t, products):
    student, teacher = draw(4, n, d_s).requires_grad_(), draw(4, n, d_t)
    baddbmm = {torch.ops.aten.baddbmm_: lambda _, a, b, **__: 2 * a[0] * a[1] * a[2] * b[2]}
    with FlopCounterMode(display=False, custom_mapping=baddbmm) as counter:
        PatchKernelAlignmentLoss()(student, teacher).backward()
    assert counter.get_total_flops() == 2 * 4 * products


@pytest.mark.parametrize(
    ("student", "teacher", "valid", "message"),
    [
        (draw(3, 4), draw(2, 3, 4), None, r"student must have shape \(B, N, D\), got \(3, 4\)"),
        (draw(2, 3, 4), draw(2, 3), None, r"teacher must have shape \(B, N, D\), got \(2, 3\)"),
        (draw(2, 0, 4), draw(2, 0, 4), None, r"got \(2, 0, 4\)"),
        (draw(2, 3, 4), draw(2, 5, 4), None, r"got \(2, 3, 4\) and \(2, 5, 4\)"),
        (draw(2, 3, 4), draw(1, 3, 4), None, r"got \(2, 3, 4\) and \(1, 3, 4\)"),
        (draw(2, 3, 4).int(), draw(2, 3, 4), None, "student must be floating point, got .*int32"),
        (draw(2, 3, 4), draw(2, 3, 4).int(), None, "teacher must be floating point, got .*int32"),
        (
            draw(2, 3, 4),
            draw(2, 3, 4),
            torch.ones(3, 2, dtype=torch.bool),
            r"valid must have shape \(2, 3\), got \(3, 2\)",
        ),
        (draw(2, 3, 4), draw(2, 3, 4), torch.ones(2, 3), "valid must be bool.*got torch.float32"),
    ],
)
def test_wrong_input_is_named_in_the_error(student, teacher, valid, message):
    with pytest.raises(ValueError, match=message):
        PatchKernelAlignmentLoss()(student, teacher, valid)


def test_unknown_options_are_named_in_the_error():
    with pytest.raises(ValueError, match="kernel must be one of linear, rbf, got 'cosine'"):
        PatchKernelAlignmentLoss("cosine")
    with pytest.raises(ValueError, match="alignment must be one of cka, frobenius, got 'l2'"):
        PatchKernelAlignmentLoss("linear", "l2")


def test_representation_shows_the_options():
    text = repr(PatchKernelAlignmentLoss("rbf", "frobenius"))
    assert text == "PatchKernelAlignmentLoss(kernel='rbf', alignment='frobenius')"


def test_a_process_without_pairs_takes_part_in_the_gradient_average(tmp_path):
    script = Path(__file__).with_name("ddp_process.py")
    outputs = [tmp_path / f"gradient-{rank}.pt" for rank in range(2)]
    processes = [
        subprocess.Popen([sys.executable, script, str(rank), tmp_path / "init", outputs[rank]])
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for output in outputs:
        averaged, alone = torch.load(output)
        assert alone.abs().sum() > 0
        torch.testing.assert_close(averaged, alone / 2)
