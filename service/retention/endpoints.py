"""HTTP for making room."""

import shutil

from fastapi import APIRouter, Depends

from service.auth.deps import AdminDep, ViewerDep
from service.deps import ResourcesDep, require_json
from service.openapi import problems
from service.retention.collect import collect
from service.retention.inventory import usage
from service.retention.schemas import Collected, CollectRequest, Storage, UserStorage

router = APIRouter(tags=["storage"])


@router.get("/storage", summary="Who takes how much room", responses=problems())
def get_storage(resources: ResourcesDep, _actor: ViewerDep) -> Storage:
    """Bytes by user and kind, added up from what is known of each checkpoint, encoder and job; the
    disk is not searched.
    """
    settings = resources.settings
    with resources.database.read() as session:
        users = [UserStorage(**u._asdict(), total=u.total) for u in usage(session)]
    settings.artifacts_folder.mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(settings.artifacts_folder)
    return Storage(
        users=users,
        total=sum(user.total for user in users),
        quota_bytes=settings.retention_quota_bytes,
        user_quota_bytes=settings.retention_user_quota_bytes,
        disk_bytes=disk.total,
        disk_free_bytes=disk.free,
    )


@router.post(
    "/gc",
    summary="Make room",
    dependencies=[Depends(require_json)],
    responses=problems(400, 413, 415, 503),
)
def post_gc(resources: ResourcesDep, actor: AdminDep, body: CollectRequest) -> Collected:
    """Remove what the server's retention settings say is due, or with `dry_run` only name it.
    Nothing goes of what is pinned, has not ended, or is used by a job that has not ended.
    """
    return collect(resources.database, resources.settings, actor, dry_run=body.dry_run)
