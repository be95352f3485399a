"""Whatever an image file holds, `decode` gives an image or a DataError."""

import io
from unittest import mock

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from PIL import Image

from paka.data import decode as module
from paka.data.decode import FORMATS, decode, read_size
from paka.errors import DataError

MAX_PIXELS = 2**20  # so that each example is quick


def files():
    """A small image in each format and some of its varieties."""
    colours = np.random.default_rng(0).integers(0, 255, (16, 24, 3), dtype=np.uint8)
    image = Image.fromarray(colours)
    exif = Image.Exif()
    exif[0x0112] = 6
    grey16 = Image.fromarray(colours[..., 0].astype(np.uint16) << 8)
    variants = [(image, name, {}) for name in FORMATS] + [
        (image, "JPEG", {"exif": exif, "progressive": True}),
        (image.convert("CMYK"), "JPEG", {}),
        (image.convert("P"), "PNG", {}),
        (grey16, "PNG", {}),
        (image.convert("RGBA"), "WEBP", {"lossless": True}),
        (image, "TIFF", {"compression": "tiff_lzw"}),
        (image, "TIFF", {"compression": "jpeg"}),
        (image.convert("1"), "TIFF", {"compression": "group4"}),
        (image, "GIF", {"save_all": True, "append_images": [image.rotate(90)]}),
    ]
    made = []
    for picture, name, options in variants:
        buffer = io.BytesIO()
        picture.save(buffer, name, **options)
        made.append(buffer.getvalue())
    return made


FILES = files()


def test_the_files_are_images_before_they_are_changed():
    for content in FILES:
        assert decode(content).size in ((24, 16), (16, 24))


@given(data=st.data())
@settings(settings.get_profile("fuzz"))
def test_a_changed_image_is_decoded_or_refused(mutated, data):
    content = data.draw(mutated(FILES))
    with mock.patch.object(module, "MAX_PIXELS", MAX_PIXELS):
        for read in (decode, read_size):
            try:
                result = read(content, "it")
            except DataError as error:
                event(f"{read.__name__}: refused")
                assert str(error).startswith("it ")
            else:
                event(f"{read.__name__}: read")
                width, height = result if read is read_size else result.size
                assert 0 < width * height <= MAX_PIXELS
                assert read is read_size or result.mode == "RGB"


@pytest.mark.parametrize("content", [b"", b"\xff", b"GIF89a", b"BM", b"P6 1 1 255 ", b"RIFF"])
def test_beginnings_of_images_are_refused(content):
    with pytest.raises(DataError):
        decode(content)
