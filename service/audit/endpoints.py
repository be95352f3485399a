"""HTTP for the audit log."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from service.audit.log import audit_page
from service.audit.schemas import AuditView
from service.auth.deps import AdminDep
from service.deps import ResourcesDep
from service.openapi import problems
from service.pagination import Limit, Page, Word, paginate
from service.store.base import utc_now

router = APIRouter(tags=["audit"])


@router.get("/audit", summary="Who did what?", responses=problems())
def list_audit(
    resources: ResourcesDep,
    _actor: AdminDep,
    user: Annotated[Word | None, Query(description="Only what the user of this name did.")] = None,
    action: Annotated[
        Word | None, Query(description="Only this action, such as `job.delete`, or all of `job`.")
    ] = None,
    target: Annotated[
        Word | None, Query(description="Only what was done to the thing of this id.")
    ] = None,
    days: Annotated[
        int | None, Query(ge=1, le=36_500, description="Only what was done in the last days.")
    ] = None,
    limit: Limit = 100,
    after: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="`next` of the page before.")
    ] = None,
) -> Page[AuditView]:
    """Every change of users, keys, jobs and data sets, and keys that were refused, newest first."""
    since = utc_now() - timedelta(days=days) if days else None
    with resources.database.read() as session:
        rows = audit_page(session, limit + 1, after, user, action, target, since)
        return paginate(rows, limit, AuditView.of, lambda row: row.id)
