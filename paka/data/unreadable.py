"""Images of a data set that cannot be read: which, why, and how many of them are too many."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from PIL import Image

from paka.data.decode import Reduced, decode, decode_reduced
from paka.data.source import ImageSource
from paka.errors import DataError
from paka.files import read_json_lines, try_append_json_line

T = TypeVar("T")
_NAMED = 20


class Unreadable(NamedTuple):
    """An image that was skipped: its name in the data set, and what is wrong."""

    image: str
    reason: str


def read_image(images: ImageSource, index: int) -> Image.Image | Unreadable:
    """Return an image as RGB, or why it cannot be read."""
    return _or_unreadable(images, index, decode)


def read_reduced(
    images: ImageSource, index: int, most: Callable[[int, int], int]
) -> Reduced | Unreadable:
    """As `read_image`, but the image may be smaller than it is, see `decode_reduced`."""
    return _or_unreadable(images, index, lambda data, name: decode_reduced(data, most, name))


def _or_unreadable(
    images: ImageSource, index: int, decoded: Callable[[bytes, str], T]
) -> T | Unreadable:
    name = images.name(index)
    try:
        return decoded(images.read(index), name)
    except DataError as error:
        return Unreadable(name, str(error).removeprefix(f"{name} "))


class SkippedImages:
    """The unreadable images of a run, each once; a run that goes on knows those from before.

    Args:
        file: keeps them as JSON lines.
        images: how many the data set has.
        max_share: of the images, beyond which the run should not go on. A run that ended because
            of that begins its list anew, since the images may have been mended.
        writes: this process keeps the file; others only read it at the start.
    """

    def __init__(self, file: Path, images: int, max_share: float, writes: bool = True) -> None:
        self.file, self.images, self.max_share, self.writes = file, images, max_share, writes
        self._reasons = {row["image"]: row["reason"] for row in read_json_lines(file)}
        if self.too_many:
            self._reasons.clear()
            if writes:
                file.unlink(missing_ok=True)

    @property
    def too_many(self) -> bool:
        """More than the allowed share, or all."""
        return len(self._reasons) > min(self.max_share * self.images, self.images - 1)

    def add(self, found: Iterable[Unreadable]) -> None:
        """Take note of images.

        Raises:
            DataError: there are too many by now; it lists the first ones.
        """
        for one in found:
            if one.image not in self._reasons:
                self._reasons[one.image] = one.reason
                if self.writes:
                    try_append_json_line(self.file, one._asdict())
        if self.too_many:
            raise DataError(self._describe())

    def _describe(self) -> str:
        count, named = len(self._reasons), list(self._reasons.items())[:_NAMED]
        listed = "; ".join(f"{image} {reason}" for image, reason in named)
        more = f"; and {count - _NAMED} more" if count > _NAMED else ""
        return (
            f"{count} of {self.images} images cannot be read, more than the share of "
            f"{self.max_share:g} that max_unreadable allows: {listed}{more}"
        )
