"""The rules about data sets: who may see one, upload one, and remove it."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fastapi import Request
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from pydantic import ValidationError

from paka.data.count import Count
from paka.data.folder import SUFFIXES
from paka.errors import DataError
from paka.files import sync
from service.audit.log import audit
from service.auth.actor import Actor, may_see
from service.auth.deps import check_may_change
from service.child_process import check_images
from service.datasets import listing, storage
from service.datasets.form import ARCHIVE, receive
from service.datasets.schemas import DatasetView, UnreadableImage, UploadedDataset, UploadFields
from service.datasets.unpack import UnpackError, UnpackLimits, unpack
from service.deps import Resources
from service.errors import ApiError, invalid, invalid_field, not_found
from service.jobs.inputs import uses
from service.pagination import Page, paginate
from service.store import queries
from service.store.models import Dataset
from service.store.settings import Settings

MAX_LISTED = 100
_BATCH = 64
_STATUSES = {"archive_too_large": 413, "disk_full": 507}


class _Found(NamedTuple):
    """A folder in a data root; if it was uploaded, its row and the name of who did."""

    folder: Path
    row: Dataset | None
    user: str | None


async def upload(resources: Resources, actor: Actor, request: Request) -> UploadedDataset:
    """Take an archive of images in; whatever goes wrong, nothing of it stays.

    Raises:
        ApiError: 400, 409, 413, 415, 422 or 507.
    """
    settings = resources.settings
    async with contextmanager_in_threadpool(storage.aside(settings.uploads_folder)) as place:
        try:
            texts = await receive(request, place / ARCHIVE, settings.upload_reserve_bytes)
            fields = _fields(texts)
            await run_in_threadpool(_check_name, settings, fields.name)
            folder = place / fields.name
            folder.mkdir()
            work = resources.unpackers.submit(
                ARCHIVE, unpack, place / ARCHIVE, folder, _limits(settings)
            )
            unpacked = await asyncio.wrap_future(work)
        except UnpackError as error:
            raise ApiError(_STATUSES.get(error.code, 422), error.code, str(error)) from None
        except DataError as error:  # it took too long, or was the end of its process
            raise invalid_field(ARCHIVE, str(error), "archive_unreadable") from None
        unreadable = await _remove_unreadable(resources, folder)
        images = sum(1 for _ in _images(folder))
        if not images:
            raise _no_images(unreadable)
        row = Dataset(
            name=fields.name,
            user_id=actor.user_id,
            visibility=fields.visibility,
            images=images,
            bytes=unpacked.bytes,
        )
        row = await run_in_threadpool(_install, resources, actor, folder, row)
    view = _view(_Found(settings.uploads_folder / row.name, row, actor.name))
    return UploadedDataset(
        **view.model_dump(),
        unreadable=unreadable[:MAX_LISTED],
        unreadable_count=len(unreadable),
        ignored=unpacked.ignored,
    )


def list_page(
    resources: Resources, actor: Actor, limit: int, after: str | None
) -> Page[DatasetView]:
    """Return a page of data sets, by path."""
    found = (
        each
        for each in _visible(resources, actor)
        if str(each.folder) > (after or "")
        and (each.row or listing.count_images(each.folder).images)
    )
    rows = [each for each, _ in zip(found, range(limit + 1), strict=False)]
    return paginate(rows, limit, _view, lambda each: str(each.folder))


def get(resources: Resources, actor: Actor, name: str) -> DatasetView:
    """Return one data set; of several with this name, the one that a job would read."""
    return _view(_find(resources, actor, name))


def delete(resources: Resources, actor: Actor, name: str) -> None:
    """Remove an upload: its row and its files.

    Raises:
        ApiError: 403, 404, or 409; it was not uploaded, is another's, or a job needs it.
    """
    (folder, row, _), uploads = _find(resources, actor, name), resources.settings.uploads_folder
    if row is None:
        detail = f"{name} was not uploaded: it is in {folder.parent}, remove it there"
        raise ApiError(409, "not_an_upload", detail)
    check_may_change(actor, row, name)
    with (
        storage.aside(uploads) as place,
        storage.locked(uploads),
        resources.database.write() as session,
    ):
        now = queries.dataset_by_name(session, name)
        if now is None or now.created_at != row.created_at:  # somebody else was faster
            raise not_found("dataset", name)
        users = [job for job in queries.active_jobs(session) if uses(job.config, folder)]
        if users:
            shown = [job.id if may_see(actor, job) else "a private job" for job in users[:10]]
            detail = f"{', '.join(shown)} still need {name}; cancel them first, or wait"
            raise ApiError(409, "dataset_in_use", detail)
        session.delete(now)
        audit(session, actor, "dataset.delete", name, {"owner": row.user_id})
        session.flush()
        folder.rename(place / name)


def _fields(texts: dict[str, str]) -> UploadFields:
    if texts.pop(ARCHIVE, None) is None:
        raise invalid_field(ARCHIVE, "is missing; with curl: -F archive=@photos.tar")
    try:
        return UploadFields.model_validate(texts)
    except ValidationError as error:
        raise invalid(error) from None


def _check_name(settings: Settings, name: str) -> None:
    """A name stands for one data set, whichever root it is in."""
    for root in settings.roots:
        if (root / name).exists():
            raise ApiError(409, "dataset_exists", f"there is a data set {name!r} in {root} already")


def _limits(settings: Settings) -> UnpackLimits:
    return UnpackLimits(
        settings.upload_max_files,
        settings.upload_max_file_bytes,
        settings.upload_max_unpacked_bytes,
        settings.upload_max_ratio,
        settings.upload_reserve_bytes,
    )


async def _remove_unreadable(resources: Resources, folder: Path) -> list[UnreadableImage]:
    """Remove the images of a folder that cannot be read; return them, with the reasons."""
    removed = []
    paths = await run_in_threadpool(lambda: sorted(_images(folder)))
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        for path, reason in zip(batch, await _reasons(resources, batch), strict=True):
            if reason is not None:
                path.unlink()
                file = str(path.relative_to(folder))
                removed.append(UnreadableImage(file=file, reason=reason))
    return removed


async def _reasons(resources: Resources, paths: Sequence[Path]) -> list[str | None]:
    """Why each image cannot be read, None if it can: many at a time, as long as none kills."""
    pixels = resources.settings.upload_max_pixels
    try:
        work = resources.decoders.submit(paths[0].name, check_images, list(paths), pixels)
        return await asyncio.wrap_future(work)
    except DataError as error:
        if len(paths) == 1:
            return [str(error)]
    return [reason for path in paths for reason in await _reasons(resources, [path])]


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _no_images(unreadable: Sequence[UnreadableImage]) -> ApiError:
    message = f"holds no images (looked for {', '.join(SUFFIXES)})"
    if unreadable:
        message = f"holds no images that can be read; the first: {unreadable[0].reason}"
    return invalid_field(ARCHIVE, message, "no_images")


def _install(resources: Resources, actor: Actor, folder: Path, row: Dataset) -> Dataset:
    """Give a complete folder its name. The row is first: a private folder is never without it."""
    uploads = resources.settings.uploads_folder
    with storage.locked(uploads):
        _check_name(resources.settings, row.name)
        with resources.database.write() as session:
            row = session.merge(row)  # in place of one that was left without its folder
            about = {"images": row.images, "bytes": row.bytes, "visibility": row.visibility}
            audit(session, actor, "dataset.upload", row.name, about)
        try:
            folder.rename(uploads / row.name)
            sync(uploads)
        except OSError:
            with resources.database.write() as session:
                session.delete(row)
            raise
    return row


def _visible(resources: Resources, actor: Actor) -> list[_Found]:
    uploads = resources.settings.uploads_folder
    found = []
    with resources.database.read() as session:
        rows = queries.datasets_by_name(session)
        for folder in listing.candidates(resources.settings.roots):
            row = rows.get(folder.name) if folder.parent == uploads else None
            if row is None:
                found.append(_Found(folder, None, None))
            elif may_see(actor, row):
                found.append(_Found(folder, row, queries.user_name(session, row.user_id)))
    return found


def _find(resources: Resources, actor: Actor, name: str) -> _Found:
    roots = resources.settings.roots
    found = [each for each in _visible(resources, actor) if each.folder.name == name]
    if not found:
        raise not_found("dataset", name)
    places = [*roots, *(root.parent for root in roots)]  # by its name a job finds no root itself
    return min(found, key=lambda each: places.index(each.folder.parent))


def _view(found: _Found) -> DatasetView:
    folder, row, user = found
    count = Count(row.images) if row else listing.count_images(folder)
    return DatasetView(
        name=folder.name,
        path=str(folder),
        source="upload" if row else "root",
        images=count.images,
        complete=count.complete,
        bytes=row.bytes if row else None,
        user=user,
        visibility=row.visibility if row else None,
        created_at=row.created_at if row else None,
    )
