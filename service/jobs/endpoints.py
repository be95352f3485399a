"""HTTP for jobs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from service.auth.deps import MemberDep, ViewerDep
from service.deps import ResourcesDep, require_json
from service.jobs import service
from service.jobs.inputs import JOB_ID
from service.jobs.schemas import CheckpointList, JobPatch, JobView
from service.openapi import problems
from service.pagination import NO_NULL, Limit, Page, Word
from service.store.models import JobKind
from service.store.status import JobStatus

router = APIRouter(prefix="/jobs", tags=["jobs"])

MAX_INT = 2**31 - 1
JobId = Annotated[
    str, Path(description="Id of a job.", examples=["job_01k9zq6f3s8m4v7c2n5x0d1b9e"])
]
JobCursor = Annotated[
    str | None, Query(pattern=JOB_ID.pattern, description="`next` of the page before.")
]
StepCursor = Annotated[
    int, Query(ge=-1, le=MAX_INT, description="Only steps above this; `next` of the page before.")
]


@router.get("", summary="List jobs", responses=problems())
def list_jobs(
    resources: ResourcesDep,
    actor: ViewerDep,
    kind: Annotated[JobKind | None, Query(description="Only jobs of this kind.")] = None,
    status: Annotated[JobStatus | None, Query(description="Only jobs in this status.")] = None,
    user: Annotated[Word | None, Query(description="Only jobs of the user of this name.")] = None,
    search: Annotated[
        str,
        Query(
            max_length=200,
            pattern=NO_NULL,
            description="Only jobs in whose id, name, kind, data set, encoders or user's name each "
            "of these words is found.",
        ),
    ] = "",
    limit: Limit = 20,
    after: JobCursor = None,
) -> Page[JobView]:
    """Jobs of all kinds, newest first, in pages."""
    return service.list_page(resources, actor, limit, after, kind, status, user, search)


@router.get("/{job_id}", summary="Look at a job", responses=problems(404))
def get_job(resources: ResourcesDep, actor: ViewerDep, job_id: JobId) -> JobView:
    """Status, progress, time left, error, and in the end the encoder that it made."""
    return service.get(resources, actor, job_id)


@router.get("/{job_id}/metrics", summary="Metrics of a job", responses=problems(404))
def get_metrics(
    resources: ResourcesDep,
    actor: ViewerDep,
    job_id: JobId,
    limit: Limit = 100,
    after_step: StepCursor = -1,
) -> Page[dict[str, Any]]:
    """Logged steps in order; of a step that was done twice, the later values."""
    return service.metrics_page(resources, actor, job_id, limit, after_step)


@router.get("/{job_id}/checkpoints", summary="Checkpoints of a job", responses=problems(404))
def get_checkpoints(resources: ResourcesDep, actor: ViewerDep, job_id: JobId) -> CheckpointList:
    """The complete checkpoints that are kept, with the sha256 of each file."""
    return service.checkpoints(resources, actor, job_id)


@router.patch(
    "/{job_id}",
    summary="Change a job",
    dependencies=[Depends(require_json)],
    responses=problems(400, 404, 413, 415),
)
def patch_job(resources: ResourcesDep, actor: MemberDep, job_id: JobId, body: JobPatch) -> JobView:
    """Change its name, priority, who may see it, and whether it is kept when room is made."""
    return service.change(resources, actor, job_id, body)


@router.post(
    "/{job_id}/cancel", status_code=202, summary="Cancel a job", responses=problems(404, 409)
)
def cancel_job(resources: ResourcesDep, actor: MemberDep, job_id: JobId) -> JobView:
    """A waiting job is cancelled at once; a running one writes a checkpoint first, and can be
    resumed.
    """
    return service.cancel(resources, actor, job_id)


@router.post(
    "/{job_id}/resume", status_code=202, summary="Resume a job", responses=problems(404, 409, 429)
)
def resume_job(resources: ResourcesDep, actor: MemberDep, job_id: JobId) -> JobView:
    """Queue a failed or cancelled job again; it goes on from its last checkpoint."""
    return service.resume(resources, actor, job_id)


@router.delete(
    "/{job_id}", status_code=204, summary="Delete a job", responses=problems(404, 409, 503)
)
def delete_job(resources: ResourcesDep, actor: MemberDep, job_id: JobId) -> None:
    """Remove a job that has ended, with its encoder, checkpoints, features and log."""
    service.delete(resources, actor, job_id)
