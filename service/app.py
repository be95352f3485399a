"""The HTTP application: `uvicorn service.app:create_app --factory`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from paka.process import quick_imports
from service.audit.endpoints import router as audit_router
from service.auth.middleware import KeysOnly
from service.cluster.endpoints import router as cluster_router
from service.datasets.endpoints import router as datasets_router
from service.embed.endpoints import router as embed_router
from service.encoders.endpoints import router as encoders_router
from service.errors import add_handlers
from service.evaluate.endpoints import router as evaluate_router
from service.headers import SecurityHeaders
from service.health.endpoints import VERSION
from service.health.endpoints import router as health_router
from service.jobs.endpoints import router as jobs_router
from service.jobs.files import router as job_files_router
from service.limits import BodyLimit
from service.loopback import LocalRequestsOnly
from service.metrics.endpoints import router as metrics_router
from service.metrics.registry import Metrics
from service.openapi import add_openapi
from service.reference import add_reference
from service.requests import Requests
from service.retention.endpoints import router as storage_router
from service.session.endpoints import router as session_router
from service.store.redact import redact_logs
from service.store.settings import Settings, get_settings
from service.store.tracing import start_tracing, stop_tracing
from service.train.endpoints import router as train_router
from service.users.endpoints import router as users_router
from service.versions import VersionGate
from service.web.site import add_web

MAX_JSON_BYTES = 2**20
"""Size of a body that holds settings only."""

ROUTERS = (
    train_router,
    evaluate_router,
    embed_router,
    jobs_router,
    job_files_router,
    encoders_router,
    datasets_router,
    cluster_router,
    users_router,
    session_router,
    audit_router,
    storage_router,
    health_router,
    metrics_router,
)

DESCRIPTION = """\
Post-train a vision transformer on images of your own, so that its patch features improve (PaKA,
arXiv 2509.05606), measure by how much on labelled images, and get dense features of any encoder.
Every error is `application/problem+json` with a `code` for programs and `errors` that name each bad
field. Times are UTC.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application; the settings come from the environment by default."""
    settings = settings or get_settings()
    app = FastAPI(
        title="PaKA Service",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        # As they are: `include_router` would have the first request to each build it anew.
        routes=[route for router in ROUTERS for route in router.routes],
    )
    app.state.settings = settings
    add_handlers(app)
    limits = {"/embed": settings.embed_max_bytes, "/datasets": settings.upload_max_bytes}
    app.add_middleware(
        BodyLimit, limits=limits, default=MAX_JSON_BYTES, seconds=settings.body_seconds
    )
    app.add_middleware(KeysOnly if settings.needs_keys else LocalRequestsOnly)
    app.add_middleware(VersionGate)
    app.add_middleware(SecurityHeaders)
    app.state.metrics = Metrics()
    app.add_middleware(Requests, metrics=app.state.metrics)
    add_openapi(app)
    add_reference(app)
    add_web(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Celery and Redis are slow to import, and only a running application needs them.
    with quick_imports():
        from service.connections import connected

    redact_logs()
    start_tracing(app.state.settings, "api")
    try:
        async with connected(app.state.settings) as resources:
            app.state.resources = resources
            yield
    finally:
        stop_tracing()
