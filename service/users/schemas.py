"""Users and keys as the API shows them."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from service.store.models import ApiKey, Role, User
from service.store.users import USER_NAME

USER_EXAMPLE: dict[str, Any] = {"name": "ada", "role": "member"}
UserRole = Annotated[
    Role,
    Field(
        description="`viewer`: sees; `member`: also submits jobs, embeds, and changes what is "
        "theirs; `admin`: all."
    ),
]


class UserRequest(BaseModel):
    """A new user."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [USER_EXAMPLE]})

    name: Annotated[str, Field(pattern=f"^{USER_NAME.pattern}$")] = Field(
        description="Lower-case letters, digits and `._@-`; unique.", examples=["ada"]
    )
    role: UserRole = "member"


class UserPatch(BaseModel):
    """What to change of a user."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "admin"}]})

    role: UserRole


class UserView(BaseModel):
    """One user."""

    id: str
    name: str
    role: UserRole
    created_at: datetime
    revoked_at: datetime | None = Field(description="Since when their keys no longer work.")

    @classmethod
    def of(cls, user: User) -> Self:
        """Show a row."""
        return cls.model_validate(user, from_attributes=True)


class UserList(BaseModel):
    """All users, by name."""

    data: list[UserView]


class MeView(BaseModel):
    """Who asks."""

    id: str
    name: str
    role: UserRole
    key: str | None = Field(description="Id of the key; null on a server that asks for none.")


class KeyRequest(BaseModel):
    """A new key."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"days": 90}]})

    days: int | None = Field(None, ge=1, le=3650, description="It works so long; null: for ever.")


class KeyView(BaseModel):
    """One key, by all but itself."""

    id: str
    user: str = Field(description="Name of its user.")
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey, user: str) -> Self:
        """Show a row."""
        return cls(
            id=key.id,
            user=user,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
        )


class NewKeyView(KeyView):
    """A key that was just made."""

    key: str = Field(description="The key itself, shown only now: `Authorization: Bearer …`.")


class KeyList(BaseModel):
    """A user's keys, oldest first."""

    data: list[KeyView]
