"""HTTP for metrics."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.auth.deps import ViewerDep
from service.deps import ResourcesDep
from service.metrics.registry import MetricsDep
from service.openapi import problems

router = APIRouter(tags=["metrics"])
_TEXT, _OPEN_METRICS = "text/plain", "application/openmetrics-text"


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "All metrics, in the format that `Accept` asks for.",
            "content": {kind: {"schema": {"type": "string"}} for kind in (_TEXT, _OPEN_METRICS)},
        },
        **problems(),
    },
)
def metrics(
    request: Request, resources: ResourcesDep, metrics: MetricsDep, _actor: ViewerDep
) -> Response:
    """What this process counts, and the state of queue, jobs, workers and GPUs as of the last
    seconds, in Prometheus' text format or as OpenMetrics; `docs/observability.md` lists it all.

    Beside a viewer's key it takes the token of `PAKA_METRICS_TOKEN`.
    """
    # Redis and Celery are slow to import, and need not hold up the start.
    from service.metrics import service

    content, kind = service.expose(resources, metrics, request.headers.get("accept", ""))
    return Response(content, headers={"Content-Type": kind, "Cache-Control": "no-store"})
