"""HTTP for training."""

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from service.auth.deps import MemberDep, ViewerDep
from service.deps import IdempotencyKey, ResourcesDep, require_json
from service.jobs.schemas import JobView
from service.openapi import problems
from service.train import service
from service.train.presets import PresetList, list_presets
from service.train.schemas import DryRun, TrainRequest

router = APIRouter(tags=["train"])


@router.post(
    "/train",
    status_code=202,
    response_model=JobView,
    summary="Post-train an encoder",
    dependencies=[Depends(require_json)],
    responses={
        200: {"model": DryRun, "description": "`dry_run`: what it would need; nothing was kept."},
        **problems(400, 413, 415, 429),
    },
)
def train(
    body: TrainRequest,
    response: Response,
    resources: ResourcesDep,
    actor: MemberDep,
    idempotency_key: IdempotencyKey = None,
) -> JobView | JSONResponse:
    """Queue a job. `dataset` is all that must be given; `preset` fills in the rest. Follow the job
    at the path in `Location`.

    With `dry_run` the answer is 200: memory, time and wait as they are expected.
    """
    if body.dry_run:
        # Redis is slow to import, and need not hold up the start.
        from service.train.dry_run import dry_run

        return JSONResponse(dry_run(resources, actor, body).model_dump(mode="json"))
    job = service.submit(resources, actor, body, idempotency_key)
    response.headers["Location"] = f"/jobs/{job.id}"
    return job


@router.get("/train/presets", summary="List presets", responses=problems())
def presets(actor: ViewerDep) -> PresetList:
    """What `POST /train` takes for a field that is left out, by `preset`: every setting with its
    value.
    """
    return list_presets()
