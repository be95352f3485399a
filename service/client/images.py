"""Images in every form that Python users have them in, as files to send."""

import io
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, Union

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as Picture

ImageLike: TypeAlias = Union[str, PurePath, bytes, "Picture", "np.ndarray"]
"""A path, a file's content, a Pillow image, or uint8 pixels (H, W, 3)."""

# What PNG can hold; all else is sent as RGB.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")


class File(NamedTuple):
    """An image as it is sent."""

    name: str
    content: bytes


class Batch(NamedTuple):
    """Some of a user's images; `first` is the position of the first one."""

    first: int
    images: list[ImageLike]

    def files(self) -> list[File]:
        """Read or encode them.

        Raises:
            OSError: a file cannot be read.
            TypeError: something is no image.
        """
        return [to_file(image, self.first + i) for i, image in enumerate(self.images)]


def batches(images: Iterable[ImageLike] | ImageLike, size: int) -> Iterator[Batch]:
    """Several images, or a single one, in batches; none is read yet."""
    source = iter(_several(images))
    first = 0
    while batch := list(islice(source, size)):
        yield Batch(first, batch)
        first += len(batch)


def count(images: Iterable[ImageLike] | ImageLike) -> int:
    """How many images there are; 0 if that shows only in the end."""
    several = _several(images)
    return len(several) if isinstance(several, Sized) else 0


def to_file(image: ImageLike, position: int) -> File:
    """Read or encode one image, without loss.

    Args:
        position: among the user's images, for messages.
    """
    if isinstance(image, str | PurePath):
        return File(Path(image).name, Path(image).read_bytes())
    name = f"images[{position}]"
    if isinstance(image, bytes):
        return File(name, bytes(image))
    from PIL import Image, ImageOps

    if not isinstance(image, Image.Image):
        return File(name, _png(_picture(image, name)))
    # Upright, as the service turns a file with the same orientation in it.
    return File(name, _png(ImageOps.exif_transpose(image)))


def _picture(pixels: object, name: str) -> "Picture":
    import numpy as np
    from PIL import Image

    if not isinstance(pixels, np.ndarray):
        kinds = "a path, bytes, a Pillow image, or a numpy array"
        raise TypeError(f"{name} is {type(pixels).__name__}; give {kinds}")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        found = f"{pixels.dtype} of shape {pixels.shape}"
        raise TypeError(f"{name} is {found}; give uint8 pixels of shape (height, width, 3)")
    return Image.fromarray(pixels)


def _png(picture: "Picture") -> bytes:
    if picture.mode not in _PNG_MODES:
        picture = picture.convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)  # smaller files would take longer than to send
    return buffer.getvalue()


def _several(images: Iterable[ImageLike] | ImageLike) -> Iterable[ImageLike]:
    if isinstance(images, str | PurePath | bytes):
        return [images]
    if hasattr(images, "mode") or getattr(images, "ndim", None) == 3:
        return [images]  # type: ignore[list-item]  # one Pillow image, one array
    return images


def halves(files: Sequence[File]) -> tuple[Sequence[File], Sequence[File]]:
    """The first and the second half."""
    middle = len(files) // 2
    return files[:middle], files[middle:]
