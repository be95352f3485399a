import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paka.config import ViewsConfig
from paka.views.boxes import area, containment, least_side, sample_crops

SIDE = st.integers(1, 3000)


def views(**fields):
    return ViewsConfig.model_validate({"local_crops": 6, **fields})


def test_geometry_of_two_boxes():
    one, other = (0, 0, 10, 10), (5, 5, 20, 10)
    assert area(other) == 75
    assert containment(other, one) == pytest.approx(25 / 75)
    assert containment(one, (20, 20, 30, 30)) == 0
    assert containment(one, (20, 0, 30, 10)) == 0
    assert containment(one, one) == 1


def areas(boxes):
    return np.array([area(box) for box in boxes])


@given(SIDE, SIDE, st.integers(0, 2**32), st.sampled_from([0.0, 0.5, 0.9, 1.0]))
def test_every_crop_lies_in_the_image_and_in_its_parent_as_far_as_asked(w, h, seed, least):
    crops = sample_crops(np.random.default_rng(seed), w, h, views(containment=least))
    for boxes in (crops.global_boxes, crops.local_boxes):
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= [w, h]).all()
        assert (areas(boxes) > 0).all()
    parents = crops.global_boxes[crops.parents]
    contained = map(containment, crops.local_boxes, parents)
    assert all(share >= least for share in contained)


@given(st.integers(200, 900), st.integers(200, 900), st.integers(0, 2**32))
def test_areas_stay_within_their_scale_but_for_whole_pixels(w, h, seed):
    crops = sample_crops(np.random.default_rng(seed), w, h, views(aspect=(0.9, 1.1)))
    a_pixel = w + h  # more on either side adds so much to the largest box
    assert (areas(crops.local_boxes) <= 0.25 * w * h + a_pixel).all()
    assert (areas(crops.global_boxes) <= w * h).all()
    if 0.5 < w / h < 2:
        assert (areas(crops.local_boxes) >= 0.05 * w * h - a_pixel).all()


@given(st.integers(1, 900), st.integers(1, 900), st.integers(0, 2**32))
def test_no_side_is_shorter_than_the_least(w, h, seed):
    scale, aspect = (0.1, 0.3), (0.5, 1.5)
    crops = sample_crops(
        np.random.default_rng(seed), w, h, views(local_scale=scale, aspect=aspect, containment=0)
    )
    sides = crops.local_boxes[:, 2:] - crops.local_boxes[:, :2]
    assert sides.min() >= least_side(w, h, scale, aspect) - 1


def test_crops_are_spread_over_the_image_and_mirrored_half_of_the_time():
    rng = np.random.default_rng(0)
    crops = [sample_crops(rng, 640, 480, views()) for _ in range(400)]
    boxes = np.concatenate([c.local_boxes for c in crops])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / [640, 480]
    assert centres.mean(0) == pytest.approx([0.5, 0.5], abs=0.02)
    assert centres.min() < 0.2
    assert centres.max() > 0.8
    for flips in ([c.local_flips for c in crops], [c.global_flips for c in crops]):
        assert np.mean(flips) == pytest.approx(0.5, abs=0.06)


def test_student_crops_are_dealt_to_the_teacher_crops_in_turn():
    crops = sample_crops(np.random.default_rng(0), 64, 64, views(local_crops=5))
    assert crops.parents.tolist() == [0, 1, 0, 1, 0]


def test_the_same_generator_state_gives_the_same_crops():
    one, other = (sample_crops(np.random.default_rng(3), 64, 48, views()) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
