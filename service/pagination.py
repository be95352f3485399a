"""Lists in pages: `?limit=&after=`, and the cursor of the next page in the answer."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints

T = TypeVar("T")
Row = TypeVar("Row")

NO_NULL = r"^[^\x00]*$"
"""Pattern of texts that PostgreSQL takes."""
Word = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NULL)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Entries in one page.")]


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    data: list[T]
    has_more: bool = Field(description="Whether another page follows.")
    next: str | int | None = Field(description="Give it as the cursor to get the next page.")


def paginate(
    rows: Sequence[Row], limit: int, show: Callable[[Row], T], cursor: Callable[[Row], str | int]
) -> Page[T]:
    """Return the page of the first `limit` rows; one row more tells that another page follows."""
    shown = rows[:limit]
    has_more = len(rows) > limit
    return Page(
        data=[show(row) for row in shown],
        has_more=has_more,
        next=cursor(shown[-1]) if has_more else None,
    )
