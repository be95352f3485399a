import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from paka.data.preprocess import prepare


def ramp(width, height):
    x = np.tile(np.linspace(0, 255, width), (height, 1))
    y = np.tile(np.linspace(0, 255, height)[:, None], (1, width))
    return Image.fromarray(np.stack([x, y, x], -1).round().astype(np.uint8))


def test_crop_takes_the_largest_centred_part():
    prepared = prepare(ramp(400, 200), 100, 100, "crop")
    assert prepared.box == (100, 0, 300, 200)
    assert prepared.pixels.shape == (100, 100, 3)
    assert prepared.original_size == (400, 200)


def test_stretch_takes_all():
    prepared = prepare(ramp(400, 200), 56, 112, "stretch")
    assert prepared.box == (0, 0, 400, 200)
    assert prepared.pixels.shape == (56, 112, 3)


@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_pixels_are_where_the_box_says(resize):
    prepared = prepare(ramp(400, 300), 64, 64, resize)
    x0, _, x1, _ = prepared.box
    expected = (x0 + (np.arange(64) + 0.5) / 64 * (x1 - x0) - 0.5) / 399 * 255
    assert np.abs(prepared.pixels[30, 2:-2, 0] - expected[2:-2]).max() < 1.5


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 60), st.integers(1, 60))
def test_any_shape_can_be_prepared(width, height, h, w):
    prepared = prepare(Image.new("RGB", (width, height)), h, w, "crop")
    x0, y0, x1, y1 = prepared.box
    assert prepared.pixels.shape == (h, w, 3)
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height


def test_the_service_can_use_it_without_torch():
    code = (
        "import sys, paka.data.preprocess, paka.data.decode, paka.data.folder, paka.options;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
