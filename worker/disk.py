"""Whether what a job writes can be kept: there is room on the disk and in the bucket."""

import shutil

from service.store.bucket import BucketError, bucket_of
from service.store.settings import Settings


def storage_problem(settings: Settings) -> str | None:
    """Why no job should be started now; None if its files could be kept."""
    bucket = bucket_of(settings)
    try:
        if bucket is not None:
            bucket.check_room()
    except BucketError as error:
        return f"jobs wait until the object storage can be used: {error}"
    return disk_problem(settings)


def disk_problem(settings: Settings) -> str | None:
    """Why no job should be started on this disk; None if it has enough space."""
    folder = settings.artifacts_folder
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free >= settings.min_free_bytes:
        return None
    return (
        f"{folder} has {free:,} bytes left, fewer than the {settings.min_free_bytes:,} of "
        "PAKA_MIN_FREE_BYTES: jobs wait until there is room; remove what nobody needs"
    )
