"""The rules about jobs that users see: make one only once, find, list, cancel, resume, delete."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.artifacts import remove_job_folder
from service.deps import Resources
from service.errors import ApiError, not_found
from service.jobs.schemas import CheckpointList, CheckpointView, JobView
from service.pagination import Page, paginate
from service.store import jobs, queries
from service.store.models import Job, JobKind
from service.store.status import JobStatus

JOB_ID = re.compile(r"job_[0-9a-hjkmnp-tv-z]{26}")


def submit(
    resources: Resources,
    kind: JobKind,
    request: dict[str, Any],
    configure: Callable[[], dict[str, Any]],
    *,
    name: str | None,
    idempotency_key: str | None,
) -> JobView:
    """Accept a job and send its message.

    Args:
        request: what the user sent, as JSON; the same key with another request is refused.
        configure: checks the request against files and encoders, and returns the job's config.

    Raises:
        ApiError: the key was used for another request, or `configure` refuses this one.
    """
    canonical = json.dumps([kind, request], sort_keys=True)
    sha256 = hashlib.sha256(canonical.encode()).hexdigest()
    if idempotency_key and (known := _replayed(resources, idempotency_key, sha256)):
        return known
    config = configure()
    try:
        with resources.database.write() as session:
            job = jobs.create(
                session,
                kind,
                config,
                request_sha256=sha256,
                name=name,
                idempotency_key=idempotency_key,
            )
    except IntegrityError:
        # An equal request was faster by a moment.
        if idempotency_key and (known := _replayed(resources, idempotency_key, sha256)):
            return known
        raise
    resources.queue.send([job.id])
    return JobView.of(job, None)


def _replayed(resources: Resources, key: str, sha256: str) -> JobView | None:
    with resources.database.read() as session:
        job = queries.job_by_idempotency_key(session, key)
        if job is None:
            return None
        if job.request_sha256 != sha256:
            detail = f"Idempotency-Key {key!r} was used for another request, which made {job.id}"
            raise ApiError(422, "idempotency_key_reused", detail)
        return _view(session, job)


def find(session: Session, job_id: str) -> Job:
    """Return the job.

    Raises:
        ApiError: 404.
    """
    job = queries.job_by_id(session, job_id) if JOB_ID.fullmatch(job_id) else None
    if job is None:
        raise not_found("job", job_id)
    return job


def get(resources: Resources, job_id: str) -> JobView:
    """Return one job."""
    with resources.database.read() as session:
        return _view(session, find(session, job_id))


def list_page(
    resources: Resources,
    limit: int,
    after: str | None,
    kind: JobKind | None,
    status: JobStatus | None,
) -> Page[JobView]:
    """Return a page of jobs, newest first."""
    with resources.database.read() as session:
        rows = queries.jobs_page(session, limit + 1, after, kind, status)
        return paginate(rows, limit, lambda job: _view(session, job), lambda job: job.id)


def metrics_page(
    resources: Resources, job_id: str, limit: int, after_step: int
) -> Page[dict[str, Any]]:
    """Return a page of a job's metrics, by step."""
    with resources.database.read() as session:
        find(session, job_id)
        rows = queries.metrics_page(session, job_id, limit + 1, after_step)
    return paginate(rows, limit, lambda row: row.data or {}, lambda row: row.step or 0)


def checkpoints(resources: Resources, job_id: str) -> CheckpointList:
    """Return a job's checkpoints."""
    with resources.database.read() as session:
        find(session, job_id)
        rows = queries.checkpoints_of(session, job_id)
    return CheckpointList(data=[CheckpointView.of(row) for row in rows])


def cancel(resources: Resources, job_id: str) -> JobView:
    """Cancel a job, at once if it waits; else its worker writes a checkpoint first."""
    with resources.database.write() as session:
        find(session, job_id)
        return _view(session, jobs.cancel(session, job_id))


def resume(resources: Resources, job_id: str) -> JobView:
    """Queue a failed or cancelled job again."""
    with resources.database.write() as session:
        find(session, job_id)
        view = _view(session, jobs.resume(session, job_id))
    resources.queue.send([job_id])
    return view


def delete(resources: Resources, job_id: str) -> None:
    """Remove a job that has ended: its rows first, then its files."""
    with resources.database.write() as session:
        find(session, job_id)
        jobs.delete(session, job_id)
    remove_job_folder(resources.settings, job_id)


def _view(session: Session, job: Job) -> JobView:
    encoder = queries.encoder_of_job(session, job.id) if job.kind == "train" else None
    return JobView.of(job, encoder.id if encoder else None)
