"""The audit log as the API shows it."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from service.store.models import AuditEntry

ENTRY_EXAMPLE: dict[str, Any] = {
    "id": 42,
    "time": "2026-11-23T10:00:00Z",
    "user": "ada",
    "key": "key_01k9zq6f3s8m4v7c2n5x0d1b9e",
    "address": "10.0.0.7",
    "action": "job.delete",
    "target": "job_01k9zq6f3s8m4v7c2n5x0d1b9e",
    "data": {"owner": "grace", "name": "our photographs"},
}


class AuditView(BaseModel):
    """One change that somebody made, or a key that was refused."""

    model_config = ConfigDict(json_schema_extra={"examples": [ENTRY_EXAMPLE]})

    id: int
    time: datetime
    user: str | None = Field(description="Name of who did it.")
    key: str | None = Field(description="Id of their key.")
    address: str | None = Field(description="Where the request came from.")
    action: str = Field(description="`thing.verb`.")
    target: str | None = Field(description="Id of the thing.")
    data: dict[str, Any] | None = Field(description="What was changed.")

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """Show a row."""
        return cls(
            id=entry.id,
            time=entry.time,
            user=entry.user_name,
            key=entry.key_id,
            address=entry.address,
            action=entry.action,
            target=entry.target,
            data=entry.data,
        )
