"""Whether all processes of a run see the same data set, which hosts may hold in copies."""

import socket
from hashlib import sha256

from paka.data.source import ImageSource
from paka.distributed import Processes
from paka.errors import TrainingError

_NAMES = 1000


def check_same_images(images: ImageSource, dataset: str, processes: Processes) -> None:
    """Compare the number of images, and names of them, between all processes.

    Raises:
        TrainingError: they differ; it names two hosts and what each has.
    """
    mine = (socket.gethostname(), len(images), fingerprint(images))
    (host, count, names), *others = processes.gather([mine])
    for other, other_count, other_names in others:
        if (other_count, other_names) != (count, names):
            raise TrainingError(
                f"{dataset} is not the same everywhere: {count} images on {host}, {other_count} on "
                f"{other}{'' if other_count != count else ', with other names'}; every host of a "
                "run needs the same data set at the same path"
            )


def fingerprint(images: ImageSource) -> str:
    """A digest of names at even distances, which shift where one is missing or added."""
    step = max(len(images) // _NAMES, 1)
    names = "\0".join(images.name(index) for index in range(0, len(images), step))
    return sha256(names.encode(errors="surrogateescape")).hexdigest()
