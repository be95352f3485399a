"""What endpoints ask for: somebody who may at least do this."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

from fastapi import Depends

from service.errors import ApiError
from service.store.models import LOCAL_USER_ID, Role

RANKS: dict[Role, int] = {"viewer": 0, "member": 1, "admin": 2}


class Actor(NamedTuple):
    """Who sent a request; `key_id` is None on a server that is open to its own machine."""

    user_id: str
    name: str
    role: Role
    key_id: str | None = None


LOCAL_ACTOR = Actor(LOCAL_USER_ID, "local", "admin")


def get_actor() -> Actor:
    """Who sent this request."""
    return LOCAL_ACTOR


def at_least(role: Role) -> Callable[[Actor], Actor]:
    """Return a dependency that raises 403 for whoever has a lesser role."""

    def check(actor: Annotated[Actor, Depends(get_actor)]) -> Actor:
        if RANKS[actor.role] < RANKS[role]:
            detail = f"{actor.name} is a {actor.role}; this takes a {role}"
            raise ApiError(403, "forbidden", detail)
        return actor

    return check


ViewerDep = Annotated[Actor, Depends(at_least("viewer"))]
MemberDep = Annotated[Actor, Depends(at_least("member"))]
AdminDep = Annotated[Actor, Depends(at_least("admin"))]
