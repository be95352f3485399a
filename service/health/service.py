"""Looking at each part that the service needs."""

from redis import Redis, RedisError
from sqlalchemy.exc import SQLAlchemyError

from service.deps import Resources
from service.errors import ApiError, FieldError
from service.health.schemas import Readiness, WorkerView
from service.store.contract import CONTRACT_VERSION, worker_key
from service.store.migrate import current_revision
from service.store.versions import mismatch

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
        reason = type(error).__name__  # its text would tell strangers where Redis is
        missing.append(FieldError(field="redis", message=f"does not answer: {reason}"))
    errors = [problem for problem in missing if problem]
    if errors:
        detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
        retry = {"Retry-After": str(RETRY_SECONDS)}
        raise ApiError(503, "not_ready", detail, errors=errors, headers=retry)
    shown = [] if resources.settings.needs_keys else workers
    return Readiness(status="ready", version=version, workers=shown)


def find_workers(redis: Redis) -> list[WorkerView]:
    """Return all live workers, by kind and name."""
    values = [redis.get(key) for key in redis.scan_iter(worker_key("*", "*"))]
    # An announcement may expire between the two calls.
    found = [_view(value) for value in values if value]
    return sorted(found, key=lambda worker: (worker.kind, worker.name))


def _view(announcement: bytes | str) -> WorkerView:
    worker = WorkerView.model_validate_json(announcement)
    # A worker of jobs can read what an older API wrote; embedding requests need the very same.
    newer = worker.kind == "jobs" and worker.contract > CONTRACT_VERSION
    if worker.problem or newer or worker.contract == CONTRACT_VERSION:
        return worker
    problem = f"it speaks version {worker.contract} of the contract, this API {CONTRACT_VERSION}"
    return worker.model_copy(update={"problem": f"{problem}: update the older of the two"})


def _worker_problem(kind: str, workers: list[WorkerView]) -> FieldError | None:
    alike = [worker for worker in workers if worker.kind == kind]
    if any(worker.problem is None for worker in alike):
        return None
    message = "; ".join(f"{worker.name} takes no work: {worker.problem}" for worker in alike)
    message = message or f"no live worker; start one with `paka-server worker --queue {kind}`"
    return FieldError(field=f"workers.{kind}", message=message)


def _database_problem(url: str) -> FieldError | None:
    try:
        problem = mismatch(current_revision(url))
    except SQLAlchemyError as error:
        return FieldError(field="database", message=f"does not answer: {type(error).__name__}")
    return FieldError(field="database", message=problem) if problem else None
