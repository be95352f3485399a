"""Paths that a request names: only what lies inside the data roots can be reached."""

from collections.abc import Sequence
from pathlib import Path

from paka.data.folder import list_images
from paka.errors import DataError
from paka.evaluation.config import Layout
from service.errors import ApiError, invalid_field

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt")


def image_folder(path: str, roots: Sequence[Path], field: str = "dataset") -> Path:
    """Return the folder that the user means, absolute; it holds at least one image.

    Raises:
        ApiError: 422; it is outside the roots, or there is no image in it.
    """
    folder = _inside(path, roots, field)
    try:
        list_images(folder)
    except (DataError, OSError) as error:
        raise invalid_field(field, str(error), "dataset_unreadable") from None
    return folder


def labelled_folder(
    path: str, layout: Layout, roots: Sequence[Path], field: str = "dataset"
) -> Path:
    """Return the folder of labelled images that the user means, absolute.

    Args:
        layout: as `paka.evaluation.datasets.open_labelled` takes it.

    Raises:
        ApiError: 422; it is outside the roots, or has no layout that evaluation reads.
    """
    # NumPy and Pillow are slow to import, and need not hold up the start.
    from paka.evaluation.datasets import open_labelled

    folder = _inside(path, roots, field)
    try:
        open_labelled(folder, layout)
    except (DataError, OSError) as error:
        raise invalid_field(field, str(error), "dataset_unreadable") from None
    return folder


def weights_file(path: str, roots: Sequence[Path], field: str) -> Path:
    """Return the weights file that the user means, absolute.

    Raises:
        ApiError: 422; it is outside the roots, or not such a file.
    """
    file = _inside(path, roots, field)
    if not file.is_file() or file.suffix not in WEIGHTS_SUFFIXES:
        suffixes = ", ".join(WEIGHTS_SUFFIXES)
        message = f"{path!r} is not a weights file ({suffixes}) in the data roots"
        raise invalid_field(field, message, "weights_unreadable")
    return file


def _inside(path: str, roots: Sequence[Path], field: str) -> Path:
    """Resolve a path, symbolic links and all; a relative one is tried in each root in turn.

    The answer to a path outside the roots is the same whether there is such a file or not.
    """
    try:
        places = [(root / path).resolve() for root in roots]  # an absolute path stays as it is
        inside = [place for place in places if _lies_in(place, roots)]
        found = next((place for place in inside if place.exists()), None)
    except (OSError, RuntimeError, ValueError):  # too long, a loop of links, a null character
        raise _missing(path, roots, field) from None
    if found is None:
        raise (_missing if inside == places else _outside)(path, roots, field)
    return found


def _lies_in(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _missing(path: str, roots: Sequence[Path], field: str) -> ApiError:
    known = ", ".join(map(str, roots))
    return invalid_field(field, f"there is no {path!r} in {known}", "path_not_found")


def _outside(path: str, roots: Sequence[Path], field: str) -> ApiError:
    known = ", ".join(map(str, roots))
    message = f"{path!r} is outside the folders from which jobs may read: {known}"
    return invalid_field(field, message, "path_outside_roots")
