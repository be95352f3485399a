import os

import numpy as np
import pytest
from PIL import Image

from paka.errors import DataError
from paka.evaluation.datasets import fingerprint, open_labelled
from paka.evaluation.datasets.base import describe_values


def test_a_mask_of_another_size_than_its_image(plain, write_image):
    image = write_image("images/val/c.jpg", size=(8, 4))
    with pytest.raises(DataError, match=rf"c\.png is 6 x 4 pixels, but its image {image} is 8 x 4"):
        open_labelled(plain).val.read_mask(0)


def test_a_mask_fits_an_image_that_lies_on_its_side(plain):
    orientation = Image.Exif()
    orientation[0x0112] = 6
    Image.new("RGB", (4, 6)).save(plain / "images/val/c.jpg", exif=orientation)
    assert open_labelled(plain).val.read_mask(0).shape == (4, 6)


def test_sixteen_bit_masks(plain):
    pixels = np.full((4, 6), 255, np.uint16)
    pixels[0, 0] = 2
    Image.fromarray(pixels).save(plain / "masks/val/c.png")
    assert open_labelled(plain).val.read_mask(0)[0, :2].tolist() == [2, 255]
    pixels[0, 0] = 256 + 2
    Image.fromarray(pixels).save(plain / "masks/val/c.png")
    with pytest.raises(DataError, match="value 258"):
        open_labelled(plain).val.read_mask(0)


def test_evenly_spaced_images(plain, write_image, write_mask):
    rows = ["split,image,label", "train,a,x", "train,b,x"]
    for number in range(10):
        write_image(f"images/val/{number}.jpg")
        write_mask(f"masks/val/{number}.png", [0])
        rows.append(f"val,{number},label{number}")
    (plain / "images/val/c.jpg").unlink()
    (plain / "labels.csv").write_text("\n".join(rows))
    val = open_labelled(plain).val
    few = val.at_most(3)
    assert [path.stem for path in few.images] == ["1", "5", "8"]
    assert [path.stem for path in few.masks] == ["1", "5", "8"]
    assert few.labels.tolist() == [1, 5, 8]
    assert val.at_most(10) is val.at_most(None) is val
    assert len(set(val.at_most(9).images)) == 9


def test_a_fingerprint_notices_a_changed_file(plain, write_mask):
    val = open_labelled(plain).val
    before = fingerprint(val.masks)
    assert fingerprint(val.masks) == before
    os.utime(val.masks[0], (1, 1))
    assert fingerprint(val.masks) != before


def test_values_in_words():
    assert describe_values(np.array([0, 1, 2, 7, 254, 255])) == "0 … 2, 7, 254 … 255"
