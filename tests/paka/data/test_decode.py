import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from paka.data.decode import decode
from paka.errors import DataError


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert decode(encoded(Image.new(mode, (8, 6)), kind)).mode == "RGB"


def test_sixteen_bit_grey_keeps_its_range():
    values = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    decoded = np.asarray(decode(encoded(Image.fromarray(values))))
    assert decoded[0, 0, 0] == 0
    assert decoded[-1, -1, 0] == 255
    assert 120 < decoded[4, 0, 0] < 136


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    assert decode(encoded(Image.new("RGB", (8, 6)), "JPEG", exif=exif)).size == (6, 8)


def test_a_file_is_read_like_its_bytes(photos):
    path = sorted(photos.iterdir())[0]
    assert decode(path).tobytes() == decode(path.read_bytes()).tobytes()


def test_truncated_images_are_refused(photos):
    data = sorted(photos.iterdir())[0].read_bytes()
    with pytest.raises(DataError, match=r"cat\.jpg cannot be decoded"):
        decode(data[: len(data) // 2], "cat.jpg")


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff"])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(DataError):
        decode(data)


def png_header(width, height):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(20_000, 20_000), (11_000, 10_000)])
def test_an_image_bomb_is_refused_by_its_header(size):
    with pytest.raises(DataError, match="pixels"):
        decode(png_header(*size))
