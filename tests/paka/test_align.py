"""Alignment, on maps whose value is their own position: a half pixel or a flip too many shows."""

import itertools

import numpy as np
import pytest
import torch
from torchvision.ops import roi_align as torchvision_roi_align

from paka.align import align, roi_align
from paka.config import ViewsConfig
from paka.views.boxes import sample_crops
from paka.views.pipeline import ViewBatch

WIDTH, HEIGHT = 640, 480
GRID = 7


def position_map(box, flip, cells):
    """(cells, cells, 2): the image position (x, y) shown at the centre of each cell of a crop."""
    x0, y0, x1, y1 = box
    steps = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    x, y = x0 + steps * (x1 - x0), y0 + steps * (y1 - y0)
    if flip:
        x = x.flip(0)
    return torch.stack([x.expand(cells, cells), y[:, None].expand(cells, cells)], -1)


def maps_of(boxes, flips, cells):
    maps = [
        [position_map(b, f, cells) for b, f in zip(*row, strict=True)]
        for row in zip(boxes, flips, strict=True)
    ]
    return torch.stack([torch.stack(row) for row in maps]).float()


def sampled_batch(images=8, seed=0, **views):
    """The geometry of real crops; the pixels themselves are not needed here."""
    config = ViewsConfig.model_validate({"local_crops": 6, **views})
    rng = np.random.default_rng(seed)
    crops = [sample_crops(rng, WIDTH, HEIGHT, config) for _ in range(images)]
    stacked = [torch.from_numpy(np.stack(values)) for values in zip(*crops, strict=True)]
    nothing = torch.zeros(images, 1)
    boxes = [stacked[0].float(), stacked[1].float()]
    return ViewBatch(nothing, nothing, *boxes, *stacked[2:], nothing, nothing)


def true_positions(batch):
    """(R, grid * grid, 2): where in the image the places of each pair's shared region are."""
    expected = []
    for outer, inner, parents in zip(
        batch.global_boxes, batch.local_boxes, batch.parents, strict=True
    ):
        for box, parent in zip(inner, parents, strict=True):
            low = torch.maximum(box[:2], outer[parent][:2])
            high = torch.minimum(box[2:], outer[parent][2:])
            expected.append(position_map((*low, *high), False, GRID).flatten(0, 1))
    return torch.stack(expected).float()


def away_from_border(positions, boxes, cells):
    """True where all of a place's bin is at least half a cell inside its crop: no clamping."""
    bins = torch.stack(
        [positions[:, 1, 0] - positions[:, 0, 0], positions[:, GRID, 1] - positions[:, 0, 1]], -1
    )
    half = ((boxes[:, 2:] - boxes[:, :2]) / cells + bins)[:, None] / 2
    low, high = boxes[:, None, :2] + half, boxes[:, None, 2:] - half
    return ((positions >= low - 1e-3) & (positions <= high + 1e-3)).all(-1)


@pytest.mark.parametrize("containment", [1.0, 0.9, 0.5])
@pytest.mark.parametrize("cells", [(7, 16), (6, 37), (14, 14)])
def test_both_sides_recover_the_true_positions(containment, cells):
    batch = sampled_batch(containment=containment)
    student = maps_of(batch.local_boxes, batch.local_flips, cells[0])
    teacher = maps_of(batch.global_boxes, batch.global_flips, cells[1])
    aligned = align(student, teacher, batch, GRID)
    expected = true_positions(batch)
    assert aligned.valid.all()
    inner = batch.local_boxes.flatten(0, 1)
    outer = torch.stack(
        [boxes[p] for boxes, p in zip(batch.global_boxes, batch.parents, strict=True)]
    ).flatten(0, 1)
    scale = torch.tensor([WIDTH, HEIGHT])
    for found, boxes, count in (
        (aligned.student, inner, cells[0]),
        (aligned.teacher, outer, cells[1]),
    ):
        error = ((found - expected) / scale).abs().amax(-1)
        reach = (boxes[:, None, 2:] - boxes[:, None, :2]) / count
        assert (error <= (reach / scale).amax(-1)).all()
        inside = away_from_border(expected, boxes, count)
        assert inside.float().mean() > 0.2
        assert error[inside].max() < 1e-3


def test_some_crops_of_that_test_are_mirrored_and_some_are_not():
    batch = sampled_batch()
    for flips in (batch.local_flips, batch.global_flips):
        assert 0 < flips.float().mean() < 1


def regions(count, seed=0):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((count, 2, 2)), axis=1)
    return torch.from_numpy(corners).float()


@pytest.mark.parametrize(("height", "width", "grid"), [(16, 16, 7), (14, 9, 7), (5, 4, 8)])
def test_equals_torchvision_forward_and_backward(height, width, grid):
    corners = regions(10)
    ours = torch.randn(10, height, width, 3, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    boxes = (corners * torch.tensor([width, height])).flatten(1)
    indexed = torch.cat([torch.arange(10.0)[:, None], boxes], 1)
    samples = -(-max(height, width) // grid)
    expected = torchvision_roi_align(
        theirs.permute(0, 3, 1, 2), indexed, grid, sampling_ratio=samples, aligned=True
    )
    found = roi_align(ours, corners, torch.zeros(10, dtype=torch.bool), grid)
    expected = expected.flatten(2).mT
    assert torch.allclose(found, expected, atol=1e-5)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)


def test_a_mirrored_map_gives_what_the_map_itself_gives():
    maps, corners = torch.randn(10, 8, 9, 4), regions(10)
    plain = roi_align(maps, corners, torch.zeros(10, dtype=torch.bool), 5)
    mirrored = roi_align(maps.flip(2), corners, torch.ones(10, dtype=torch.bool), 5)
    assert torch.allclose(plain, mirrored, atol=1e-5)


def test_each_pair_is_compared_with_its_own_parent():
    batch = sampled_batch(images=2)
    teacher = torch.arange(4.0).view(2, 2, 1, 1, 1).expand(2, 2, 4, 4, 1)
    aligned = align(torch.zeros(2, 6, 2, 2, 1), teacher, batch, 3)
    expected = torch.tensor([[0.0, 1, 0, 1, 0, 1], [2, 3, 2, 3, 2, 3]]).view(-1, 1)
    assert torch.equal(aligned.teacher[..., 0], expected.expand(-1, 9))


def test_crops_that_share_nothing_are_not_valid_and_give_no_nan():
    batch = sampled_batch(images=1)
    batch.local_boxes[0, 0] = torch.tensor([700.0, 500, 710, 520])
    aligned = align(torch.randn(1, 6, 3, 3, 2), torch.randn(1, 2, 5, 5, 2), batch, 3)
    assert not aligned.valid[0].any()
    assert aligned.valid[1:].all()
    assert aligned.student.isfinite().all()
    assert aligned.teacher.isfinite().all()


def every_pair(batch):
    """Boxes of the student's and the teacher's crop of each pair, in the order of "all"."""
    pairs = [
        (inner, outer)
        for outers, inners in zip(batch.global_boxes, batch.local_boxes, strict=True)
        for inner in inners
        for outer in outers
    ]
    return [torch.stack(side) for side in zip(*pairs, strict=True)]


@pytest.mark.parametrize("containment", [1.0, 0.0])
def test_all_pairs_recover_the_true_positions_of_the_student_crop(containment):
    batch, cells = sampled_batch(containment=containment), (14, 37)
    student = maps_of(batch.local_boxes, batch.local_flips, cells[0])
    teacher = maps_of(batch.global_boxes, batch.global_flips, cells[1])
    aligned = align(student, teacher, batch, GRID, "all")
    inner, outer = every_pair(batch)
    expected = [position_map(box, False, GRID).flatten(0, 1) for box in inner]
    expected = torch.stack(expected).float()
    assert aligned.student.shape == aligned.teacher.shape == (8 * 6 * 2, GRID**2, 2)
    assert (aligned.student - expected).abs().max() < 1e-2
    inside = away_from_border(expected, outer, cells[1])
    assert 0.2 < inside.float().mean() < 0.95
    assert ((aligned.teacher - expected).abs().amax(-1) < 1e-2)[inside].all()


@pytest.mark.parametrize("containment", [1.0, 0.0])
def test_of_all_pairs_those_places_count_that_lie_wholly_in_the_teacher_crop(containment):
    batch = sampled_batch(containment=containment)
    maps = torch.zeros(8, 6, 2, 2, 1), torch.zeros(8, 2, 2, 2, 1)
    valid = align(*maps, batch, GRID, "all").valid
    for found, inner, outer in zip(valid, *every_pair(batch), strict=True):
        side = (inner[2:] - inner[:2]) / GRID
        within = []
        for row, column in itertools.product(range(GRID), repeat=2):
            low = inner[:2] + side * torch.tensor([column, row])
            fits = (low >= outer[:2] - 0.01) & (low + side <= outer[2:] + 0.01)
            within.append(fits.all().item())
        assert found.tolist() == (within if sum(within) >= 2 else [False] * GRID**2)
    own = valid.view(8, 6, 2, -1).gather(2, batch.parents[..., None, None].expand(-1, -1, -1, 49))
    assert own.all() == (containment == 1)
    assert not valid.any(1).all() or containment == 1


def test_all_pairs_meet_every_teacher_crop_of_their_own_image():
    batch = sampled_batch(images=2)
    teacher = torch.arange(4.0).view(2, 2, 1, 1, 1).expand(2, 2, 4, 4, 1)
    student = torch.arange(12.0).view(2, 6, 1, 1, 1).expand(2, 6, 3, 3, 1)
    aligned = align(student, teacher, batch, 3, "all")
    crops = aligned.teacher[:, 0, 0].round().tolist(), aligned.student[:, 0, 0].round().tolist()
    assert crops == ([0, 1] * 6 + [2, 3] * 6, [pair // 2 for pair in range(24)])


def test_lower_precision_maps_are_aligned_in_float32():
    maps = torch.randn(2, 4, 4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found = roi_align(maps.bfloat16(), regions(2), torch.zeros(2, dtype=torch.bool), 3)
    assert found.dtype == torch.float32
