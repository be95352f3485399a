"""The rules about jobs that users see: make one only once, find, list, change, cancel, delete."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.artifacts import check_storage, remove_job_folder
from service.audit.log import audit
from service.auth.actor import Actor, may_see
from service.auth.deps import check_may_change
from service.deps import Resources
from service.errors import ApiError, not_found
from service.jobs.inputs import JOB_ID, check_still_open, visibility_of
from service.jobs.needs import check_priority, known_workers, needs_of
from service.jobs.queue_limit import check_room
from service.jobs.schemas import CheckpointList, CheckpointView, JobFields, JobPatch, JobView
from service.pagination import Page, paginate
from service.request_context import source
from service.store import jobs, nodes, queries
from service.store.models import PRIORITIES, Job, JobKind
from service.store.status import JobStatus
from service.store.workers import for_jobs


def submit(
    resources: Resources,
    actor: Actor,
    kind: JobKind,
    request: dict[str, Any],
    configure: Callable[[], dict[str, Any]],
    *,
    about: JobFields,
    idempotency_key: str | None,
) -> JobView:
    """Accept a job and send its message.

    Args:
        request: what the user sent, as JSON; the same key with another request is refused.
        about: what the request says of the job itself.
        configure: checks the request against files and encoders, and returns the job's config.

    Raises:
        ApiError: the key was used for another request, `configure` refuses this one, or the queue
            is full, for all or for this user.
    """
    check_priority(actor, about.priority)
    canonical = json.dumps([kind, request], sort_keys=True)
    sha256 = hashlib.sha256(canonical.encode()).hexdigest()
    if idempotency_key and (known := _replayed(resources, actor, idempotency_key, sha256)):
        return known
    config = configure()
    needs = needs_of(resources, kind, config, about.slots)
    try:
        with resources.database.write() as session:
            check_room(session, resources.settings, actor)
            visibility = visibility_of(session, resources.settings, config, about)
            job = jobs.create(
                session,
                kind,
                config,
                request_sha256=sha256,
                user_id=actor.user_id,
                name=about.name,
                visibility=visibility,
                idempotency_key=idempotency_key,
                priority=PRIORITIES[about.priority],
                slots=needs.slots,
                nodes=needs.nodes,
                memory_bytes=needs.memory_bytes,
                expected_seconds=needs.seconds,
                source=source(),
            )
            noted = {"kind": kind, "visibility": visibility, "priority": about.priority}
            audit(session, actor, "job.submit", job.id, noted)
    except IntegrityError:
        # An equal request was faster by a moment.
        if idempotency_key and (known := _replayed(resources, actor, idempotency_key, sha256)):
            return known
        raise
    resources.queue.send([job.id])
    return JobView.of(job, actor.name, None)


def _replayed(resources: Resources, actor: Actor, key: str, sha256: str) -> JobView | None:
    with resources.database.read() as session:
        job = queries.job_by_idempotency_key(session, actor.user_id, key)
        if job is None:
            return None
        if job.request_sha256 != sha256:
            detail = f"Idempotency-Key {key!r} was used for another request, which made {job.id}"
            raise ApiError(422, "idempotency_key_reused", detail)
        return _view(session, job)


def find(session: Session, actor: Actor, job_id: str) -> Job:
    """Return the job.

    Raises:
        ApiError: 404; there is none, or the actor may not see it.
    """
    job = queries.job_by_id(session, job_id) if JOB_ID.fullmatch(job_id) else None
    if job is None or not may_see(actor, job):
        raise not_found("job", job_id)
    return job


def find_to_change(session: Session, actor: Actor, job_id: str) -> Job:
    """Return the job.

    Raises:
        ApiError: 404, or 403: it is somebody else's.
    """
    job = find(session, actor, job_id)
    check_may_change(actor, job, job_id)
    return job


def get(resources: Resources, actor: Actor, job_id: str) -> JobView:
    """Return one job."""
    # Redis is slow to import, and need not hold up the start.
    from service.cluster.service import waiting_view

    with resources.database.read() as session:
        job = find(session, actor, job_id)
        view = _view(session, job)
        if job.status != JobStatus.QUEUED:
            return view
        workers = for_jobs(known_workers(resources))
        waiting = waiting_view(session, workers, resources.settings, job_id)
    return view.model_copy(update={"waiting": waiting})


def list_page(
    resources: Resources,
    actor: Actor,
    limit: int,
    after: str | None,
    kind: JobKind | None,
    status: JobStatus | None,
    user: str | None,
    search: str,
) -> Page[JobView]:
    """Return a page of jobs, newest first."""
    with resources.database.read() as session:
        rows = queries.jobs_page(
            session, limit + 1, after, kind, status, user, search, actor.confined_to
        )
        encoders = queries.encoder_ids(session, [job.id for job in rows])
        users = queries.user_names(session, [job.user_id for job in rows])
    return paginate(
        rows,
        limit,
        lambda job: JobView.of(job, users[job.user_id], encoders.get(job.id)),
        lambda job: job.id,
    )


def metrics_page(
    resources: Resources, actor: Actor, job_id: str, limit: int, after_step: int
) -> Page[dict[str, Any]]:
    """Return a page of a job's metrics, by step."""
    with resources.database.read() as session:
        find(session, actor, job_id)
        rows = queries.metrics_page(session, job_id, limit + 1, after_step)
    return paginate(rows, limit, lambda row: row.data or {}, lambda row: row.step or 0)


def checkpoints(resources: Resources, actor: Actor, job_id: str) -> CheckpointList:
    """Return a job's checkpoints."""
    with resources.database.read() as session:
        find(session, actor, job_id)
        rows = queries.checkpoints_of(session, job_id)
    return CheckpointList(data=[CheckpointView.of(row) for row in rows])


def change(resources: Resources, actor: Actor, job_id: str, patch: JobPatch) -> JobView:
    """Change a job's name, visibility, priority or pin."""
    values = patch.model_dump(exclude_none=True)
    with resources.database.write() as session:
        find_to_change(session, actor, job_id)
        if values:
            audit(session, actor, "job.change", job_id, dict(values))
        if patch.priority is not None:
            check_priority(actor, patch.priority)
            values["priority"] = PRIORITIES[patch.priority]
        return _view(session, jobs.change(session, job_id, values))


def cancel(resources: Resources, actor: Actor, job_id: str) -> JobView:
    """Cancel a job, at once if it waits; else its worker writes a checkpoint first."""
    with resources.database.write() as session:
        find_to_change(session, actor, job_id)
        audit(session, actor, "job.cancel", job_id)
        return _view(session, jobs.cancel(session, job_id))


def resume(resources: Resources, actor: Actor, job_id: str) -> JobView:
    """Queue a failed or cancelled job again."""
    with resources.database.write() as session:
        job = find_to_change(session, actor, job_id)
        check_room(session, resources.settings, actor)
        check_still_open(session, resources.settings, job)
        audit(session, actor, "job.resume", job_id)
        view = _view(session, jobs.resume(session, job_id))
    resources.queue.send([job_id])
    return view


def delete(resources: Resources, actor: Actor, job_id: str) -> None:
    """Remove a job that has ended: its rows first, then its files.

    Raises:
        ApiError: 404, 403 or 409.
        BucketError: its files could not be removed; nothing is changed.
    """
    check_storage(resources.settings)
    with resources.database.write() as session:
        job = find_to_change(session, actor, job_id)
        owner = queries.user_name(session, job.user_id)
        audit(session, actor, "job.delete", job_id, {"owner": owner, "name": job.name})
        jobs.delete(session, job_id)
    remove_job_folder(resources.settings, job_id)


def _view(session: Session, job: Job) -> JobView:
    encoder = queries.encoder_of_job(session, job.id)
    user = queries.user_name(session, job.user_id)
    parts = nodes.parts_of(session, job.id) if job.nodes > 1 else ()
    return JobView.of(job, user, encoder.id if encoder else None, parts)
