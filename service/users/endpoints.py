"""HTTP for users and keys."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from service.auth.deps import AdminDep, MemberDep, ViewerDep
from service.deps import ResourcesDep, require_json
from service.openapi import problems
from service.users import service
from service.users.schemas import (
    KeyList,
    KeyRequest,
    MeView,
    NewKeyView,
    UserList,
    UserPatch,
    UserRequest,
    UserView,
)

router = APIRouter(tags=["users"])

UserId = Annotated[
    str, Path(description="Id of a user.", examples=["usr_01k9zq6f3s8m4v7c2n5x0d1b9e"])
]
KeyId = Annotated[
    str, Path(description="Id of a key.", examples=["key_01k9zq6f3s8m4v7c2n5x0d1b9e"])
]
JSON_BODY = [Depends(require_json)]


@router.get("/me", summary="Who am I?", responses=problems())
def get_me(actor: ViewerDep) -> MeView:
    """Your name and role, by the key that you sent."""
    return MeView(id=actor.user_id, name=actor.name, role=actor.role, key=actor.key_id)


@router.get("/me/keys", summary="List my keys", responses=problems(404))
def list_my_keys(resources: ResourcesDep, actor: ViewerDep) -> KeyList:
    """All of your keys, those that no longer work too; never the keys themselves."""
    return service.list_keys(resources, actor.user_id)


@router.post(
    "/me/keys",
    status_code=201,
    summary="Make a key of mine",
    dependencies=JSON_BODY,
    responses=problems(400, 404, 409, 413, 415),
)
def add_my_key(resources: ResourcesDep, actor: MemberDep, body: KeyRequest) -> NewKeyView:
    """Another key of yours, as for a second machine; the answer shows it, and nothing later."""
    return service.add_key(resources, actor, actor.user_id, body)


@router.delete("/keys/{key_id}", status_code=204, summary="Revoke a key", responses=problems(404))
def revoke_key(resources: ResourcesDep, actor: ViewerDep, key_id: KeyId) -> None:
    """End a key of yours, or for an admin of anybody's; it no longer works within seconds."""
    service.revoke_key(resources, actor, key_id)


@router.get("/users", summary="List users", responses=problems())
def list_users(resources: ResourcesDep, _actor: AdminDep) -> UserList:
    """All users by name, those that were revoked too."""
    return service.list_all(resources)


@router.post(
    "/users",
    status_code=201,
    summary="Add a user",
    dependencies=JSON_BODY,
    responses=problems(400, 409, 413, 415),
)
def add_user(resources: ResourcesDep, actor: AdminDep, body: UserRequest) -> UserView:
    """Add somebody, or take somebody back who was revoked; then make a key for them."""
    return service.add(resources, actor, body)


@router.patch(
    "/users/{user_id}",
    summary="Change a user's role",
    dependencies=JSON_BODY,
    responses=problems(400, 404, 409, 413, 415),
)
def patch_user(
    resources: ResourcesDep, actor: AdminDep, user_id: UserId, body: UserPatch
) -> UserView:
    """Make somebody a viewer, a member or an admin; the last admin stays one."""
    return service.change(resources, actor, user_id, body)


@router.delete(
    "/users/{user_id}", status_code=204, summary="Revoke a user", responses=problems(404, 409)
)
def revoke_user(resources: ResourcesDep, actor: AdminDep, user_id: UserId) -> None:
    """End somebody's access: their keys no longer work within seconds, what they made stays."""
    service.revoke(resources, actor, user_id)


@router.get("/users/{user_id}/keys", summary="List a user's keys", responses=problems(404))
def list_user_keys(resources: ResourcesDep, _actor: AdminDep, user_id: UserId) -> KeyList:
    """All keys of somebody, those that no longer work too; never the keys themselves."""
    return service.list_keys(resources, user_id)


@router.post(
    "/users/{user_id}/keys",
    status_code=201,
    summary="Make a user's key",
    dependencies=JSON_BODY,
    responses=problems(400, 404, 409, 413, 415),
)
def add_user_key(
    resources: ResourcesDep, actor: AdminDep, user_id: UserId, body: KeyRequest
) -> NewKeyView:
    """A key for somebody; the answer shows it, and nothing later: hand it over safely."""
    return service.add_key(resources, actor, user_id, body)
