"""Image files, or bytes, to RGB; whatever cannot be decoded is one clear error."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose
from PIL.JpegImagePlugin import JpegImageFile

from paka.errors import DataError

MAX_PIXELS = 100_000_000
# Others that Pillow knows are rare, less well tested, or start another program to be read (EPS).
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "AVIF", "JPEG2000")
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""
_FACTORS = (8, 4, 2)

# Pillow warns of what is checked or refused below. Once and for all: to do it around each call is
# not possible in threads, which share the list of filters.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(source: Path | bytes, name: str | None = None) -> Image.Image:
    """Return an image as RGB, turned upright by its EXIF orientation.

    Args:
        source: a file, or its content.
        name: what an error calls it; the path by default.

    Raises:
        DataError: not an image in one of `FORMATS`, cut short, with floating-point or 32-bit
            pixels, or with more than `MAX_PIXELS` (which is known from the header, before anything
            is decoded).
    """
    return decode_reduced(source, lambda _width, _height: 1, name).image


class Reduced(NamedTuple):
    """An image whose pixel (column, row) shows `factor` x `factor` pixels of the original.

    Up to `factor` - 1 pixels of the original are left out at its right and lower border as it is
    stored, which its EXIF may turn to the left or to the top.
    """

    image: Image.Image
    factor: int


def decode_reduced(
    source: Path | bytes, most: Callable[[int, int], int], name: str | None = None
) -> Reduced:
    """As `decode`, but a JPEG may be decoded at a half, a fourth or an eighth of its size.

    That is several times as fast: JPEG holds blocks of frequencies, of which the high ones are
    left out. Pixels lie exactly over those of the original.

    Args:
        most: returns the largest factor that will do, of width and height as they are stored.
    """
    with open_image(source, name) as image:
        _check_range(image, _called(source, name))
        is_jpeg = isinstance(image, JpegImageFile)  # or MPO, as some cameras write
        largest = min(most(*image.size), *image.size) if is_jpeg else 1
        factor = next((factor for factor in _FACTORS if factor <= largest), 1)
        if factor > 1:
            image = _at_a_fraction(image, factor)
        return Reduced(_to_rgb(_upright(image)), factor)


def _at_a_fraction(image: Image.Image, factor: int) -> Image.Image:
    """Decode a JPEG at a fraction of its size, without pixels that reach past its border."""
    size = image.width // factor, image.height // factor
    image.draft(None, size)
    return image if image.size == size else image.crop((0, 0, *size))


def read_size(source: Path | bytes, name: str | None = None) -> tuple[int, int]:
    """Return an image's width and height as its header tells them, without decoding the rest.

    Raises:
        DataError: as `decode`, as far as a header shows it.
    """
    with open_image(source, name) as image:
        return image.size


@contextmanager
def open_image(source: Path | bytes, name: str | None = None) -> Iterator[Image.Image]:
    """Open an image in one of `FORMATS` with `MAX_PIXELS` at most, as it is stored.

    Raises:
        DataError: as `decode`; also for what goes wrong until it is closed again.
    """
    name = _called(source, name)
    file = source if isinstance(source, Path) else io.BytesIO(source)
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(image, name)
            yield image
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{name} is not an image that can be read") from None
    except Image.DecompressionBombError:
        raise DataError(f"{name} has too many pixels; at most {MAX_PIXELS:,} are read") from None
    except Exception as error:  # there is no telling what Pillow raises for a crafted file
        raise DataError(f"{name} cannot be decoded: {str(error) or repr(error)}") from error


def _called(source: Path | bytes, name: str | None) -> str:
    return name or (str(source) if isinstance(source, Path) else "the image")


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{name} has {width} x {height} pixels; at most {MAX_PIXELS:,} are read, scale it down"
        )


def _check_range(image: Image.Image, name: str) -> None:
    """Which of its values is white, a file of such pixels does not say."""
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise DataError(f"{name} has 32 bits for each value; convert it to 8 or 16 bits")


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF says; Pillow's own function fails at any other bad tag."""
    image.load()
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":  # Pillow would copy it: half the time of a small photograph
        return image
    if image.mode.startswith("I"):  # 16 bit grey: Pillow would clip it at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")
