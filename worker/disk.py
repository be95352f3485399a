"""Whether there is room for what a job writes."""

import shutil

from service.store.settings import Settings


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
