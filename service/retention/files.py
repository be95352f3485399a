"""What jobs left where it is kept: in the bucket if there is one, else on this disk."""

import time
from collections.abc import Collection, Sequence
from pathlib import Path

from paka.run_folder import list_checkpoints
from service.retention.leftovers import (
    ASIDE,
    DAY_SECONDS,
    Leftover,
    folders_without_job,
    is_job_of_no_one,
    remove,
    size_of,
)
from service.store.bucket import bucket_of
from service.store.ids import made_at
from service.store.settings import Settings

RESULTS = ("checkpoints", "final")


def sizes_of_rest(settings: Settings, job_id: str) -> dict[Path, int]:
    """All that a job left beside checkpoints and encoder: files and folders, with their bytes."""
    folder = settings.job_folder(job_id)
    if bucket := bucket_of(settings):
        sizes: dict[Path, int] = {}
        for path, size in bucket.objects(folder).items():
            entry = folder / path.relative_to(folder).parts[0]
            sizes[entry] = sizes.get(entry, 0) + size
    else:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        rest = [e for e in entries if e.name not in RESULTS and not e.name.startswith(ASIDE)]
        sizes = {entry: size_of(entry) for entry in rest}
    return {entry: size for entry, size in sizes.items() if entry.name not in RESULTS}


def checkpoints(settings: Settings, job_id: str) -> list[Path]:
    """The folders of a job's complete checkpoints, by step."""
    folder = settings.job_folder(job_id) / "checkpoints"
    if bucket := bucket_of(settings):
        return sorted(p.parent for p in bucket.objects(folder) if p.name == "meta.json")
    return list_checkpoints(folder)


def orphans(settings: Settings, known: Collection[str]) -> list[Leftover]:
    """What belongs to jobs that there are not, and is older than a day."""
    bucket = bucket_of(settings)
    if bucket is None:
        return folders_without_job(settings.artifacts_folder / "jobs", known)
    old = time.time() - DAY_SECONDS
    return [
        Leftover(folder, sum(bucket.objects(folder).values()))
        for folder in bucket.jobs()
        if is_job_of_no_one(folder.name, known) and made_at(folder.name) < old
    ]


def remove_all(settings: Settings, paths: Sequence[Path]) -> None:
    """Remove files, and folders with all that is in them, which nobody reads any more."""
    if bucket := bucket_of(settings):
        bucket.remove(*paths)
        return
    for path in paths:
        remove(path)
