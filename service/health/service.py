"""Looking at each part that the service needs."""

from redis import Redis, RedisError
from sqlalchemy.exc import SQLAlchemyError

from service.deps import Resources
from service.errors import ApiError, FieldError
from service.health.schemas import Readiness, WorkerView
from service.store.contract import worker_key
from service.store.migrate import current_revision, latest_revision

KINDS = ("jobs", "embed")
RETRY_SECONDS = 5


def readiness(resources: Resources, version: str) -> Readiness:
    """Return who is at work.

    Raises:
        ApiError: 503, naming each part that is missing.
    """
    missing = [_database_problem(resources.settings.database)]
    workers: list[WorkerView] = []
    try:
        workers = find_workers(resources.redis)
        missing += [_worker_problem(kind, workers) for kind in KINDS]
    except RedisError as error:
        missing.append(FieldError(field="redis", message=f"does not answer: {error}"))
    errors = [problem for problem in missing if problem]
    if errors:
        detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
        retry = {"Retry-After": str(RETRY_SECONDS)}
        raise ApiError(503, "not_ready", detail, errors=errors, headers=retry)
    return Readiness(status="ready", version=version, workers=workers)


def find_workers(redis: Redis) -> list[WorkerView]:
    """Return all live workers, by kind and name."""
    values = [redis.get(key) for key in redis.scan_iter(worker_key("*", "*"))]
    # An announcement may expire between the two calls.
    found = [WorkerView.model_validate_json(value) for value in values if value]
    return sorted(found, key=lambda worker: (worker.kind, worker.name))


def _worker_problem(kind: str, workers: list[WorkerView]) -> FieldError | None:
    if any(worker.kind == kind for worker in workers):
        return None
    message = f"no live worker; start one with `paka-server worker --queue {kind}`"
    return FieldError(field=f"workers.{kind}", message=message)


def _database_problem(url: str) -> FieldError | None:
    wanted = latest_revision()
    try:
        found = current_revision(url)
    except SQLAlchemyError as error:
        return FieldError(field="database", message=f"does not answer: {type(error).__name__}")
    if found == wanted:
        return None
    message = f"is at revision {found}, not {wanted}; run `paka-server migrate`"
    return FieldError(field="database", message=message)
