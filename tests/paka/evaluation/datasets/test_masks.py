import numpy as np
import pytest
from PIL import Image

from paka.errors import DataError
from paka.evaluation.datasets.masks import image_size, read_indices


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_indices_come_as_they_are_stored(tmp_path, mode):
    image = Image.new(mode, (3, 2))
    image.putpixel((2, 1), 1)
    image.save(tmp_path / "mask.png")
    found = read_indices(tmp_path / "mask.png")
    assert found.dtype == np.uint8
    assert found.shape == (2, 3)
    assert (found[1, 2] > 0) and found.astype(bool).sum() == 1


def test_a_colour_image_is_no_mask(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"mask\.png is a colour image \(RGB\)"):
        read_indices(tmp_path / "mask.png")


@pytest.mark.parametrize("read", [read_indices, image_size])
def test_what_is_no_image_is_named(tmp_path, read):
    (tmp_path / "mask.png").write_bytes(b"no")
    with pytest.raises(DataError, match=r"mask\.png is not an image"):
        read(tmp_path / "mask.png")


def test_a_mask_that_is_cut_short(tmp_path):
    path = tmp_path / "mask.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"mask\.png cannot be decoded"):
        read_indices(path)


def test_the_size_of_an_image_that_lies_on_its_side(tmp_path):
    orientation = Image.Exif()
    orientation[0x0112] = 8
    Image.new("RGB", (30, 20)).save(tmp_path / "image.jpg", exif=orientation)
    assert image_size(tmp_path / "image.jpg") == (20, 30)


def test_a_mask_that_another_program_would_have_to_read_is_refused(tmp_path):
    file = tmp_path / "mask.png"
    Image.new("L", (4, 4)).save(file, "EPS")
    with pytest.raises(DataError, match="not an image"):
        read_indices(file)
