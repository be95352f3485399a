"""HTTP for the cluster."""

from fastapi import APIRouter

from service.auth.deps import ViewerDep
from service.cluster.schemas import Cluster
from service.deps import ResourcesDep
from service.openapi import problems

router = APIRouter(tags=["cluster"])


@router.get("/cluster", summary="What runs where, and who waits", responses=problems(503))
def get_cluster(resources: ResourcesDep, actor: ViewerDep) -> Cluster:
    """Workers with their slots, the queue in its order with reasons and expected starts, and what
    each user has used. Of others' private jobs it only says that they are there.
    """
    # Redis is slow to import, and need not hold up the start.
    from service.cluster import service

    return service.look(resources, actor)
