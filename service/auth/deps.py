"""What endpoints ask for: somebody who may at least do this."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from service.auth.actor import LOCAL_ACTOR, RANKS, Actor, Owned, may_change
from service.errors import ApiError
from service.store.models import Role

# It only describes the header in the OpenAPI document: the middleware has read it already.
BEARER = HTTPBearer(
    scheme_name="key",
    description="A key of yours: `Authorization: Bearer paka_…`. A server that is open to its own "
    "machine only asks for none.",
    auto_error=False,
)


async def get_actor(request: Request, _header: Annotated[object, Security(BEARER)]) -> Actor:
    """Who sent this request."""
    if not request.app.state.settings.needs_keys:
        return LOCAL_ACTOR
    actor: Actor = request.state.actor
    return actor


def at_least(role: Role) -> Callable[[Actor], Awaitable[Actor]]:
    """Return a dependency that raises 403 for whoever has a lesser role."""

    async def check(actor: Annotated[Actor, Depends(get_actor)]) -> Actor:
        if RANKS[actor.role] < RANKS[role]:
            detail = f"{actor.name} is a {actor.role}; this takes a {role}"
            raise ApiError(403, "forbidden", detail)
        return actor

    return check


ROLE_CHECKS = {role: at_least(role) for role in RANKS}
ViewerDep = Annotated[Actor, Depends(ROLE_CHECKS["viewer"])]
MemberDep = Annotated[Actor, Depends(ROLE_CHECKS["member"])]
AdminDep = Annotated[Actor, Depends(ROLE_CHECKS["admin"])]


def check_may_change(actor: Actor, thing: Owned, what: str) -> None:
    """Raise 403 unless `thing`, which errors call `what`, is the actor's or they are an admin."""
    if not may_change(actor, thing):
        raise ApiError(403, "not_yours", f"{what} is somebody else's: ask them, or an admin")
