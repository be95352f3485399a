"""HTTP for evaluation."""

from fastapi import APIRouter, Depends, Response

from service.auth.deps import MemberDep
from service.deps import IdempotencyKey, ResourcesDep, require_json
from service.evaluate import service
from service.evaluate.schemas import EvaluateRequest
from service.jobs.schemas import JobView
from service.openapi import problems

router = APIRouter(tags=["evaluate"])


@router.post(
    "/evaluate",
    status_code=202,
    summary="Compare encoders",
    dependencies=[Depends(require_json)],
    responses=problems(400, 413, 415, 429),
)
def evaluate(
    body: EvaluateRequest,
    response: Response,
    resources: ResourcesDep,
    actor: MemberDep,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Queue a job that measures how well encoders' patch features tell what is where. The first
    encoder is the base: of each other one the report gives the difference to it. The report is at
    `/jobs/{id}/report` in the end.
    """
    job = service.submit(resources, actor, body, idempotency_key)
    response.headers["Location"] = f"/jobs/{job.id}"
    return job
