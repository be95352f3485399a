"""HTTP for health."""

from importlib.metadata import version

from fastapi import APIRouter

from service.deps import ResourcesDep
from service.health.schemas import Health, Readiness
from service.openapi import problems

router = APIRouter(tags=["health"])

VERSION = version("paka-service")


@router.get("/health", summary="Is the API alive?", responses=problems())
async def health() -> Health:
    """Answers as long as the process does; it looks at nothing else."""
    return Health(status="alive", version=VERSION)


@router.get("/ready", summary="Is everything there?", responses=problems(503))
def ready(resources: ResourcesDep) -> Readiness:
    """200 when the database has the right tables, Redis answers, and there is a live worker for
    jobs and one for embedding requests; else 503, naming what is missing.
    """
    # Alembic and Redis are slow to import, and need not hold up the start.
    from service.health import service

    return service.readiness(resources, VERSION)
