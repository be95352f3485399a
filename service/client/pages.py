"""Lists that come in pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from service.client.call import Flow, get, read
from service.client.schemas import Answer

A = TypeVar("A", bound=Answer)
Row = TypeVar("Row")
PAGE = 100


class Page(Answer, Generic[Row]):
    """Some entries of a list, and where the next page begins; None if it is the last."""

    data: list[Row]
    next: Any = None


@dataclass(frozen=True)
class Pages(Generic[A]):
    """A list, before any of its pages is fetched.

    Attributes:
        limit: entries in all; None: no limit.
    """

    path: str
    params: Mapping[str, Any]
    page: type[Page[A]]
    limit: int | None = None

    def fetch(self, after: str | None, had: int) -> Flow[tuple[list[A], str | None]]:
        """A page, and where the next one begins; None if it is the last.

        Args:
            had: entries of the pages before.
        """
        size = PAGE if self.limit is None else min(PAGE, self.limit - had)
        params = {**self.params, "limit": size, "after": after}
        page = read(self.page, (yield get(self.path, params=params)))
        enough = self.limit is not None and had + len(page.data) >= self.limit
        return page.data, None if enough else page.next
