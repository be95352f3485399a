"""The disks under the folders that fill up."""

import shutil
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from service.metrics.families import gauges
from service.store.settings import Settings


def families(settings: Settings) -> Iterator[Metric]:
    """Room where artifacts and uploads are written; none of a folder that is not there."""
    folders = {"artifacts": settings.artifacts_folder, "uploads": settings.uploads_folder}
    disks = {
        (name,): shutil.disk_usage(folder) for name, folder in folders.items() if folder.is_dir()
    }
    yield gauges(
        "paka_disk_free_bytes",
        "Room left on the disk of a folder.",
        ["folder"],
        {name: disk.free for name, disk in disks.items()},
    )
    yield gauges(
        "paka_disk_bytes",
        "Size of the disk of a folder.",
        ["folder"],
        {name: disk.total for name, disk in disks.items()},
    )
