import io
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import psutil
import pytest
from PIL import Image, ImageOps

from paka.data.decode import FORMATS, decode, decode_reduced, read_size
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


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_values_of_32_bits_are_refused_for_nobody_knows_their_range(kind):
    content = encoded(Image.fromarray(np.linspace(0, 255, 48).reshape(6, 8).astype(kind)), "TIFF")
    with pytest.raises(DataError, match=r"^scan\.tif has 32 bits .* convert it"):
        decode(content, "scan.tif")


@pytest.mark.parametrize("orientation", range(9))
def test_exif_orientation_is_applied(orientation, photos):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(sorted(photos.iterdir())[0]) as photo:
        content = encoded(photo.convert("RGB").resize((24, 16)), "JPEG", exif=exif)
    with Image.open(io.BytesIO(content)) as stored:
        expected = ImageOps.exif_transpose(stored)
    assert decode(content).size == ((16, 24) if orientation > 4 else (24, 16))
    assert decode(content).tobytes() == expected.tobytes()


def block_means(image, factor):
    pixels = np.asarray(image, np.float32)
    height, width = pixels.shape[:2]
    return pixels.reshape(height // factor, factor, width // factor, factor, 3).mean((1, 3))


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 7])
@pytest.mark.parametrize(("most", "factor"), [(1, 1), (2, 2), (3, 2), (7, 4), (8, 8), (100, 8)])
def test_a_reduced_pixel_shows_those_of_the_original_that_it_lies_over(
    most, factor, orientation, photos
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(sorted(photos.iterdir())[0]) as photo:
        large = photo.convert("RGB").resize((384, 256))
    content = encoded(large, "JPEG", exif=exif, quality=95)
    sizes = []
    reduced = decode_reduced(content, lambda *size: sizes.append(size) or most)
    assert sizes == [(384, 256)]
    assert reduced.factor == factor
    difference = np.asarray(reduced.image) - block_means(decode(content), factor)
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("orientation", [1, 3])
@pytest.mark.parametrize("size", [(382, 256), (384, 258), (383, 255)])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_no_reduced_pixel_reaches_past_the_border(size, factor, orientation, photos):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(sorted(photos.iterdir())[0]) as photo:
        content = encoded(photo.convert("RGB").resize(size), "JPEG", exif=exif, quality=95)
    reduced = decode_reduced(content, lambda *_: factor)
    width, height = (side // factor for side in size)
    assert (reduced.image.size, reduced.factor) == ((width, height), factor)
    kept = (0, 0, width * factor, height * factor)
    if orientation == 3:  # it is turned by half
        kept = (size[0] - kept[2], size[1] - kept[3], *size)
    difference = np.asarray(reduced.image) - block_means(decode(content).crop(kept), factor)
    assert np.abs(difference).mean() < 2


def test_the_first_of_several_pictures_in_a_jpeg_is_reduced_too(photos):
    with Image.open(sorted(photos.iterdir())[0]) as photo:
        first = photo.convert("RGB").resize((384, 256))
    others = [first.resize((192, 128))]
    content = encoded(first, "MPO", save_all=True, append_images=others, quality=95)
    reduced = decode_reduced(content, lambda *_: 4)
    assert (reduced.image.size, reduced.factor) == ((96, 64), 4)
    difference = np.asarray(reduced.image) - block_means(decode(content), 4)
    assert np.abs(difference).mean() < 2


def test_a_tiny_jpeg_keeps_a_pixel():
    reduced = decode_reduced(encoded(Image.new("RGB", (5, 3)), "JPEG"), lambda *_: 8)
    assert (reduced.image.size, reduced.factor) == ((2, 1), 2)


def test_what_is_no_jpeg_is_not_reduced():
    content = encoded(Image.new("RGB", (64, 64)), "PNG")
    assert decode_reduced(content, lambda *_: 8).image.size == (64, 64)
    assert decode_reduced(content, lambda *_: 8).factor == 1


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_reduced_image_is_rgb_as_well(mode):
    reduced = decode_reduced(encoded(Image.new(mode, (64, 64)), "JPEG"), lambda *_: 2)
    assert (reduced.image.mode, reduced.image.size) == ("RGB", (32, 32))


def test_a_jpeg_that_is_cut_short_is_refused_reduced_as_well():
    content = encoded(Image.effect_noise((256, 256), 90), "JPEG")
    with pytest.raises(DataError, match=r"^cat\.jpg cannot be decoded"):
        decode_reduced(content[: len(content) // 2], lambda *_: 2, "cat.jpg")


def test_an_image_is_turned_whatever_else_its_exif_says():
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    resolution = struct.pack("<HHI4s", 0x011A, 2, 4, b"abc")  # text, where a number belongs
    directory = struct.pack("<IH", 8, 2) + orientation + resolution + struct.pack("<I", 0)
    content = encoded(Image.new("RGB", (8, 6)), "JPEG", exif=b"Exif\0\0II*\0" + directory)
    assert decode(content).size == (6, 8)


def test_a_file_is_read_like_its_bytes(photos):
    path = sorted(photos.iterdir())[0]
    assert decode(path).tobytes() == decode(path.read_bytes()).tobytes()


@pytest.mark.parametrize("kind", FORMATS)
def test_an_image_outlives_the_file_it_was_read_from(kind, tmp_path):
    path = tmp_path / "image"
    Image.radial_gradient("L").convert("RGB").save(path, kind)
    image = decode(path)
    assert str(path) not in [file.path for file in psutil.Process().open_files()]
    path.unlink()
    assert image.resize((64, 64)).getpixel((32, 32))[0] < 16
    assert np.asarray(image).shape == (256, 256, 3)


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


def crafted_avif():
    """What is read without a complaint, and decoded with none of the usual errors."""
    data = bytearray(encoded(Image.new("RGB", (64, 64), "red"), "AVIF"))
    start = data.index(b"mdat") + 4
    data[start:] = b"\xff" * (len(data) - start)
    return bytes(data)


@pytest.mark.parametrize(
    "error", [TypeError("an integer is required"), struct.error("unpack requires"), KeyError(7)]
)
def test_whatever_pillow_raises_is_one_error(monkeypatch, error):
    def fail(_):
        raise error

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(DataError, match=r"a\.png cannot be decoded"):
        decode(encoded(Image.new("RGB", (8, 6))), "a.png")


def test_a_crafted_file_is_refused():
    with pytest.raises(DataError, match="cannot be decoded"):
        decode(crafted_avif())


def test_no_other_program_is_started_to_read_an_image():
    postscript = encoded(Image.new("RGB", (8, 6)), "EPS")
    with pytest.raises(DataError, match="not an image"):
        decode(postscript)


def palette_with_transparency():
    image = Image.new("P", (8, 6))
    image.putpalette([255, 0, 0, 0, 255, 0])
    return encoded(image, transparency=bytes([0, 128]))


def test_pillow_warns_nobody_and_the_filters_stay_as_they_are(monkeypatch):
    # The list of filters is shared by all threads: a change around each call is undone by others.
    seen, real = [], Image.open

    def look(*args, **options):
        seen.append(warnings.filters)
        return real(*args, **options)

    monkeypatch.setattr("paka.data.decode.Image.open", look)
    before = warnings.filters
    decode(palette_with_transparency())
    assert seen[0] is before


def test_a_warning_of_pillow_is_no_error_where_warnings_are(tmp_path):
    (tmp_path / "a.png").write_bytes(palette_with_transparency())
    script = "from pathlib import Path; from paka.data.decode import decode; decode(Path('a.png'))"
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, check=True)


def test_the_size_is_read_from_the_header_alone(photos):
    data = sorted(photos.iterdir())[0].read_bytes()
    assert read_size(data[: len(data) // 2]) == decode(data).size
    with pytest.raises(DataError, match=r"huge\.png has too many pixels"):
        read_size(png_header(20_000, 20_000), "huge.png")
    with pytest.raises(DataError, match=r"notes\.txt is not an image"):
        read_size(b"hello", "notes.txt")
