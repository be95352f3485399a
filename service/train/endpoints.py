"""HTTP for training."""

from fastapi import APIRouter, Depends, Response

from service.auth.deps import MemberDep
from service.deps import IdempotencyKey, ResourcesDep, require_json
from service.jobs.schemas import JobView
from service.openapi import problems
from service.train import service
from service.train.schemas import TrainRequest

router = APIRouter(tags=["train"])


@router.post(
    "/train",
    status_code=202,
    summary="Post-train an encoder",
    dependencies=[Depends(require_json)],
    responses=problems(400, 413, 415, 429),
)
def train(
    body: TrainRequest,
    response: Response,
    resources: ResourcesDep,
    actor: MemberDep,
    idempotency_key: IdempotencyKey = None,
) -> JobView:
    """Queue a job. `dataset` is all that must be given; `preset` fills in the rest. Follow the job
    at the path in `Location`.
    """
    job = service.submit(resources, actor, body, idempotency_key)
    response.headers["Location"] = f"/jobs/{job.id}"
    return job
