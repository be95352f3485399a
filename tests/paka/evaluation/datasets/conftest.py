"""Small data sets, written as their official archives are laid out."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write_image(tmp_path):
    """Writes a photograph of 6 x 4 pixels below the test's folder."""

    def write(name, size=(6, 4)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (90, 120, 150)).save(path)
        return path

    return write


@pytest.fixture
def write_mask(tmp_path):
    """Writes a mask of 4 x 6 pixels whose first row begins with `values`; the rest is `fill`."""

    def write(name, values, fill=255, palette=False):
        pixels = np.full((4, 6), fill, np.uint8)
        pixels[0, : len(values)] = values
        image = Image.fromarray(pixels)
        if palette:
            image = image.convert("P")
            image.putpalette([channel for index in range(256) for channel in (index, 0, 0)])
            image.putdata(pixels.ravel().tolist())
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        return path

    return write


@pytest.fixture
def plain(tmp_path, write_image, write_mask):
    """A data set in the plain layout: two images to learn from, one to be judged."""
    for split, name, values in (("train", "a", [0, 1]), ("train", "b", [2]), ("val", "c", [1])):
        write_image(f"images/{split}/{name}.jpg")
        write_mask(f"masks/{split}/{name}.png", values)
    return tmp_path
