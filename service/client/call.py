"""A request before it is sent, and operations as what they send and make of the answers.

An operation is a generator: it yields a `Call`, is given the answer or an error, and returns what
its user wants. So each is written once, and the sync and the async client carry it out.
"""

import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import httpx

from service.client.refusals import foreign
from service.client.schemas import Answer, Encoder, Job

T = TypeVar("T")
A = TypeVar("A", bound=Answer)
C = TypeVar("C", bytes, str)
Flow: TypeAlias = Generator["Call", httpx.Response, T]


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        repeatable: sent twice, it does no more than once.
        retries: whether to try again at all.
        delay: seconds to wait before it is sent.
        timeout: seconds without a byte from the service; None: the client's.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    data: Mapping[str, Any] | None = None
    files: Sequence[tuple[str, Any]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False
    retries: bool = True
    delay: float = 0.0
    timeout: float | None = None

    def build(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The request for a client, sync or async."""
        given = {name: value for name, value in self.params.items() if value is not None}
        timeout = http.timeout
        if self.timeout is not None:
            timeout = httpx.Timeout(self.timeout, connect=http.timeout.connect)
        return http.build_request(
            self.method,
            self.path,
            params=given or None,
            json=self.json,
            data=dict(self.data) if self.data is not None else None,
            files=list(self.files) if self.files is not None else None,
            headers=dict(self.headers),
            timeout=timeout,
        )


def get(path: str, **options: Any) -> Call:
    """A request that changes nothing."""
    return Call("GET", path, repeatable=True, **options)


def submit(path: str, body: Mapping[str, Any], idempotency_key: str | None) -> Call:
    """A request for a job; sent again, it gives the same job and not a second one."""
    headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
    return Call("POST", path, json=dict(body), headers=headers, repeatable=True)


def read(kind: type[A], response: httpx.Response) -> A:
    """An answer as a typed object.

    Raises:
        ForeignAnswer: it is none of the service's.
    """
    return decode(kind.model_validate_json, response.content, response)


def decode(parse: Callable[[C], T], content: C, response: httpx.Response) -> T:
    """An answer, or a part of one, as what `parse` makes of it.

    Args:
        parse: raises ValueError for what it cannot read.

    Raises:
        ForeignAnswer: it could not.
    """
    try:
        return parse(content)
    except ValueError as error:
        raise foreign(response, content) from error


def id_of(thing: Job | Encoder | str) -> str:
    """The id of what may be given as an object or by its id."""
    return thing if isinstance(thing, str) else thing.id


def given(**fields: Any) -> dict[str, Any]:
    """The fields of a request's body that are not None: for the others, the server has defaults."""
    return {name: value for name, value in fields.items() if value is not None}
