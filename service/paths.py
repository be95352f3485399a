"""Paths that a request names: only what lies inside the data roots can be reached."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from paka.data.count import check_images
from paka.data.links import Reach, check_links
from paka.errors import ConfigError, DataError
from paka.evaluation.config import Layout
from service.auth.actor import Actor, may_see
from service.deps import Resources
from service.errors import ApiError, invalid_field
from service.store import queries

WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pt")


class DataAccess(NamedTuple):
    """What a user's jobs may read: all in the data roots but what is `hidden` from them.

    A folder of `shared` they may not name as a whole: until the job runs, others may put something
    into it that would be hidden.
    """

    roots: tuple[Path, ...]
    hidden: tuple[Path, ...]
    shared: tuple[Path, ...]
    reach: Reach


def data_access(resources: Resources, actor: Actor) -> DataAccess:
    """What this actor's jobs may read; others' private uploads are hidden, and from all but admins
    what jobs made, should that lie in a data root.
    """
    settings = resources.settings
    if actor.confined_to is None:
        return DataAccess(settings.roots, (), (), settings.reach)
    with resources.database.read() as session:
        rows = queries.datasets_by_name(session).values()
        hidden = [settings.uploads_folder / row.name for row in rows if not may_see(actor, row)]
    hidden.append(settings.artifacts_folder)
    return DataAccess(settings.roots, tuple(hidden), (settings.uploads_folder,), settings.reach)


def image_data(path: str, access: DataAccess, field: str = "dataset") -> Path:
    """Return the data set that the user means, absolute; it holds at least one image.

    Raises:
        ApiError: 422; it is outside the roots, there is no image in it, or a link out of them.
    """
    found = _inside(path, access, field)
    try:
        check_links(found, access.reach)
        check_images(found)
    except (DataError, ConfigError, OSError) as error:
        raise invalid_field(field, str(error), "dataset_unreadable") from None
    return found


def labelled_folder(path: str, layout: Layout, access: DataAccess, field: str = "dataset") -> Path:
    """Return the folder of labelled images that the user means, absolute.

    Args:
        layout: as `paka.evaluation.datasets.open_labelled` takes it.

    Raises:
        ApiError: 422; it is outside the roots, has no layout that evaluation reads, or a link out
            of the roots in it.
    """
    # NumPy and Pillow are slow to import, and need not hold up the start.
    from paka.evaluation.datasets import open_labelled

    folder = _inside(path, access, field)
    try:
        check_links(folder, access.reach)
        open_labelled(folder, layout)
    except (DataError, OSError) as error:
        raise invalid_field(field, str(error), "dataset_unreadable") from None
    return folder


def weights_file(path: str, access: DataAccess, field: str) -> Path:
    """Return the weights file that the user means, absolute.

    Raises:
        ApiError: 422; it is outside the roots, or not such a file.
    """
    file = _inside(path, access, field)
    if not file.is_file() or file.suffix not in WEIGHTS_SUFFIXES:
        suffixes = ", ".join(WEIGHTS_SUFFIXES)
        message = f"{path!r} is not a weights file ({suffixes}) in the data roots"
        raise invalid_field(field, message, "weights_unreadable")
    return file


def _inside(path: str, access: DataAccess, field: str) -> Path:
    """Resolve a path, symbolic links and all; a relative one is tried in each root in turn.

    The answer to a path outside the roots is the same whether there is such a file or not; what is
    hidden is as if it were not there, and so is a folder that holds something hidden.
    """
    roots = access.roots
    try:
        places = [(root / path).resolve() for root in roots]  # an absolute path stays as it is
        inside = [place for place in places if _lies_in(place, roots)]
        found = next((place for place in inside if _is_there(place, access)), None)
    except (OSError, RuntimeError, ValueError):  # too long, a loop of links, a null character
        raise _missing(path, roots, field) from None
    if found is None:
        raise (_missing if inside == places else _outside)(path, roots, field)
    return found


def _is_there(path: Path, access: DataAccess) -> bool:
    if any(path.is_relative_to(each) for each in access.hidden):
        return False
    held = any(each.is_relative_to(path) for each in (*access.hidden, *access.shared))
    return not held and path.exists()


def _lies_in(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _missing(path: str, roots: Sequence[Path], field: str) -> ApiError:
    known = ", ".join(map(str, roots))
    return invalid_field(field, f"there is no {path!r} in {known}", "path_not_found")


def _outside(path: str, roots: Sequence[Path], field: str) -> ApiError:
    known = ", ".join(map(str, roots))
    message = (
        f"{path!r} is outside the folders from which jobs may read: {known}; who runs the service "
        "adds one by PAKA_DATA_ROOTS, or paka-server up --data"
    )
    return invalid_field(field, message, "path_outside_roots")
