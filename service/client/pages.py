"""Lists that come in pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from service.client.call import Flow, get
from service.client.schemas import Answer

A = TypeVar("A", bound=Answer)
PAGE = 100


@dataclass(frozen=True)
class Pages(Generic[A]):
    """A list, before any of its pages is fetched.

    Attributes:
        limit: entries in all; None: no limit.
    """

    path: str
    params: Mapping[str, Any]
    kind: type[A]
    limit: int | None = None

    def fetch(self, after: str | None, had: int) -> Flow[tuple[list[A], str | None]]:
        """A page, and where the next one begins; None if it is the last.

        Args:
            had: entries of the pages before.
        """
        size = PAGE if self.limit is None else min(PAGE, self.limit - had)
        params = {**self.params, "limit": size, "after": after}
        page = (yield get(self.path, params=params)).json()
        rows = [self.kind.model_validate(row) for row in page["data"]]
        enough = self.limit is not None and had + len(rows) >= self.limit
        return rows, None if enough else page["next"]
