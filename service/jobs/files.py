"""HTTP for what a job leaves behind: events as they happen, log, checkpoints, features, report."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from paka.evaluation.report_schema import Report
from service import artifacts
from service.auth.deps import ViewerDep
from service.deps import ResourcesDep
from service.errors import not_found
from service.jobs import events, reports, service
from service.jobs.endpoints import MAX_INT, JobId
from service.jobs.schemas import FeatureIndex
from service.openapi import binary, problems
from service.store import queries
from service.store.status import JobStatus

router = APIRouter(prefix="/jobs", tags=["jobs"])

REPORT: dict[str, Any] = {
    "description": "The report, in the format that `format` or `Accept` asks for.",
    "model": Report,
    "content": {
        reports.MEDIA_TYPES["json"]: {"example": reports.REPORT_EXAMPLE},
        reports.MEDIA_TYPES["markdown"]: {},
        reports.MEDIA_TYPES["html"]: {},
    },
}

LOG: dict[str, Any] = {
    "content": {"text/plain": {}},
    "headers": {
        "Log-End": {
            "description": "Bytes up to where this answer goes: the next `offset`.",
            "schema": {"type": "integer"},
        }
    },
}

LastEventId = Annotated[
    int, Header(ge=0, le=MAX_INT, description="Go on after the event with this id.")
]


def position(
    resources: ResourcesDep, actor: ViewerDep, job_id: JobId, last_event_id: LastEventId = 0
) -> int:
    """Where the stream begins; errors come before it, since a stream has its status first."""
    events.check_there_is_more(resources, actor, job_id, last_event_id)
    return last_event_id


@router.get(
    "/{job_id}/events",
    summary="Follow a job",
    response_class=EventSourceResponse,
    responses={
        204: {"description": "The job has ended and there are no more events."},
        **problems(404, 429),
    },
)
async def stream_events(
    resources: ResourcesDep,
    actor: ViewerDep,
    job_id: JobId,
    after: Annotated[int, Depends(position)],
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: `event` is `status`, `message`, `metrics` or `checkpoint`, `data` the
    event as JSON. All so far, then live; the stream ends with the job. `Last-Event-ID` resumes.
    """
    async for event in events.follow(resources.database, actor, job_id, after):
        yield event


@router.get(
    "/{job_id}/log",
    summary="Log of a job",
    response_class=Response,
    responses={200: LOG, **problems(404, 503)},
)
def get_log(
    resources: ResourcesDep,
    actor: ViewerDep,
    job_id: JobId,
    tail: Annotated[
        int | None, Query(ge=1, le=1_000_000, description="Only the last lines, this many.")
    ] = None,
    offset: Annotated[
        int, Query(ge=0, description="Skip this many bytes: those that you have already.")
    ] = 0,
) -> Response:
    """What the job's process printed, all attempts; empty before it has started."""
    with resources.database.read() as session:
        service.find(session, actor, job_id)
    file = artifacts.look(resources.settings, f"jobs/{job_id}/train.log")
    if file is None:
        return Response(media_type="text/plain", headers={"Log-End": "0"})
    start = artifacts.start_of_last_lines(file, tail) if tail else min(offset, file.size)
    return StreamingResponse(
        file.chunks(start, file.size),
        media_type="text/plain",
        headers={"Log-End": str(file.size)},
    )


@router.get(
    "/{job_id}/checkpoints/{step}/encoder.safetensors",
    summary="Download a checkpoint's encoder",
    response_class=Response,
    responses={**binary("Weights that timm loads.", artifacts.BINARY), **problems(404, 503)},
)
def get_checkpoint_encoder(
    request: Request,
    resources: ResourcesDep,
    actor: ViewerDep,
    job_id: JobId,
    step: Annotated[int, Path(ge=0, le=MAX_INT, description="Steps done.")],
) -> Response:
    """The encoder as it was at a checkpoint, as safetensors; `ETag` is its sha256."""
    with resources.database.read() as session:
        job = service.find(session, actor, job_id)
        rows = queries.checkpoints_of(session, job_id)
    found = next((row for row in rows if row.step == step), None)
    if found is None:
        raise not_found("checkpoint", f"{job_id} at step {step}")
    path, runs = f"{found.path}/encoder.safetensors", job.status == JobStatus.RUNNING
    file = artifacts.artifact(resources.settings, path, may_be_on_its_way=runs)
    sha256 = found.files[file.path.name]["sha256"]
    return artifacts.download(request, file, f"{job_id}-step-{step}.safetensors", sha256)


@router.get("/{job_id}/features", summary="Index of an embed job", responses=problems(404, 503))
def get_features(resources: ResourcesDep, actor: ViewerDep, job_id: JobId) -> FeatureIndex:
    """Which images are in which file, and how they were made; there once the job is done."""
    with resources.database.read() as session:
        service.find(session, actor, job_id)
    file = artifacts.artifact(resources.settings, f"jobs/{job_id}/features/index.json")
    return FeatureIndex.model_validate_json(file.read(0, file.size))


@router.get(
    "/{job_id}/features/{file}",
    summary="Download features of an embed job",
    response_class=Response,
    responses={
        200: {
            "model": FeatureIndex,
            **binary("Features in the job's format, or the index.", artifacts.BINARY)[200],
        },
        **problems(404, 503),
    },
)
def get_feature_file(
    request: Request,
    resources: ResourcesDep,
    actor: ViewerDep,
    job_id: JobId,
    file: Annotated[
        str,
        Path(
            pattern=r"^(index\.json|features-\d+\.(safetensors|zarr\.zip))$",
            examples=["index.json"],
        ),
    ],
) -> Response:
    """One file that the index names: arrays `patch_tokens` (n, h, w, D), `image_features` (n, D),
    `boxes` (n, 4) and `original_sizes` (n, 2). `paka.FeatureReader` reads a folder of them all.
    """
    with resources.database.read() as session:
        service.find(session, actor, job_id)
    found = artifacts.artifact(resources.settings, f"jobs/{job_id}/features/{file}")
    return artifacts.download(request, found, f"{job_id}-{file}")


@router.get(
    "/{job_id}/report",
    summary="Report of an evaluation",
    response_class=Response,
    responses={200: REPORT, **problems(404, 406, 503)},
)
def get_report(
    request: Request,
    resources: ResourcesDep,
    actor: ViewerDep,
    job_id: JobId,
    form: Annotated[
        reports.ReportFormat | None,
        Query(alias="format", description="Default: what `Accept` prefers, else `json`."),
    ] = None,
) -> Response:
    """What an `evaluate` job found, or a `train` job with `evaluate`: JSON, a Markdown table, or a
    page with pictures. Before there is one the answer is 404, `report_not_ready`.
    """
    with resources.database.read() as session:
        job = service.find(session, actor, job_id)
    form = reports.choose_format(form, request.headers.get("accept", ""))
    return reports.respond(resources.settings, job, form)
