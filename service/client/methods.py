"""Operations as methods of the two clients, with each operation's own arguments and words."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args

from service.client.call import Flow
from service.client.pages import Pages
from service.client.schemas import Answer
from service.client.transport import AsyncTransport, Transport

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A", bound=Answer)


class Blocking(Protocol):
    """The sync client."""

    _transport: Transport


class Async(Protocol):
    """The async client."""

    _transport: AsyncTransport


def blocking(operation: Callable[P, Flow[T]]) -> Callable[Concatenate[Blocking, P], T]:
    """A method of the sync client that carries out an operation."""

    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._transport.run(operation(*args, **kwargs))

    _describe(method, operation)
    return method


def awaiting(operation: Callable[P, Flow[T]]) -> Callable[Concatenate[Async, P], Awaitable[T]]:
    """A method of the async client that carries out an operation."""

    async def method(self: Async, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._transport.run(operation(*args, **kwargs))

    _describe(method, operation)
    return method


def blocking_pages(
    listing: Callable[P, Pages[A]],
) -> Callable[Concatenate[Blocking, P], Iterator[A]]:
    """A method of the sync client that goes through a list."""

    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[A]:
        pages, after, had = listing(*args, **kwargs), None, 0
        while True:
            rows, after = self._transport.run(pages.fetch(after, had))
            yield from rows
            had += len(rows)
            if after is None:
                return

    _describe(method, listing, Iterator)
    return method


def awaiting_pages(
    listing: Callable[P, Pages[A]],
) -> Callable[Concatenate[Async, P], AsyncIterator[A]]:
    """A method of the async client that goes through a list."""

    async def method(self: Async, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[A]:
        pages, after, had = listing(*args, **kwargs), None, 0
        while True:
            rows, after = await self._transport.run(pages.fetch(after, had))
            for row in rows:
                yield row
            had += len(rows)
            if after is None:
                return

    _describe(method, listing, AsyncIterator)
    return method


def _describe(method: Any, operation: Callable[..., Any], many: Any = None) -> None:
    """Give a method the operation's name, words and arguments, for `help` and editors."""
    update_wrapper(method, operation)
    del method.__wrapped__  # it lacks `self`
    signature = inspect.signature(operation)
    result = get_args(signature.return_annotation)[-1]
    if many is not None:
        result = many[result]
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [itself, *signature.parameters.values()]
    method.__signature__ = inspect.Signature(parameters, return_annotation=result)
