"""Outlines fill their box without leaving it."""

import numpy as np
import pytest

from paka.scenes import shapes
from paka.scenes.scene import THINGS

OUTLINES = [*dict.fromkeys(kind.shape for kind in THINGS.values()), shapes.ridge, shapes.hills]


@pytest.mark.parametrize("shape", OUTLINES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("height,width", [(50, 80), (80, 50), (8, 4)])
def test_an_outline_has_its_size_and_some_area(shape, height, width):
    outline = shape(np.random.default_rng(3), height, width)
    assert outline.shape == (height, width)
    assert outline.dtype == np.bool_
    assert 0.15 < outline.mean() <= 1


def test_a_ring_has_a_hole():
    ring = shapes.ring(np.random.default_rng(0), 60, 60)
    assert not ring[30, 30]
    assert ring[30, 5]


def test_a_skyline_reaches_the_ground():
    for shape in (shapes.ridge, shapes.hills):
        assert shape(np.random.default_rng(5), 40, 90)[-1].all()
