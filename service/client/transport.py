"""Sending calls, sync and async; all that is not input and output is in other modules."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractContextManager,
    aclosing,
    asynccontextmanager,
    closing,
    contextmanager,
)
from typing import Any, NoReturn, TypeAlias, TypeVar

import httpx

from service.client.call import Call, Flow
from service.client.errors import ApiError, ConnectionFailed, PakaError
from service.client.refusals import broken_off, no_answer, refusal
from service.client.retries import Retries, StopRetrying

T = TypeVar("T")
Begin: TypeAlias = Callable[[], AbstractContextManager[Callable[[bytes], None]]]
"""Begins a file, and gives what takes its content piece by piece."""


class Failures:
    """What went wrong with one call so far."""

    def __init__(self, call: Call, retries: Retries, url: str) -> None:
        self._call, self._retries, self._url = call, retries, url
        self._count = 0

    def pause(self, error: httpx.TransportError | ApiError) -> float:
        """Seconds to wait before the next try; raises what the user should see if there is none."""
        self._count += 1
        try:
            return self._retries.pause(self._call, self._count, error)
        except StopRetrying:
            raise_for_user(error, self._url)

    def pause_download(self, error: httpx.TransportError, response: httpx.Response) -> float:
        """`pause` after an answer that has broken off on the way."""
        try:
            return self.pause(error)
        except ConnectionFailed:
            raise broken_off(error, response) from error


def raise_for_user(error: httpx.TransportError | ApiError, url: str) -> NoReturn:
    """Raise an error of ours."""
    if isinstance(error, ApiError):
        raise error from None
    raise no_answer(error, url) from error


class Transport:
    """Sends calls, again where that may help."""

    def __init__(self, http: httpx.Client, retries: Retries) -> None:
        self.http, self.retries = http, retries

    def run(self, flow: Flow[T]) -> T:
        """Carry out an operation."""
        try:
            call = next(flow)
            while True:
                try:
                    answer = self.send(call)
                except PakaError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(answer)
        except StopIteration as end:
            return end.value

    def send(self, call: Call, **options: Any) -> httpx.Response:
        """Return the answer to a call, if it is a success.

        Raises:
            ApiError: the service refused.
            ConnectionFailed: no answer.
        """
        failures = Failures(call, self.retries, str(self.http.base_url))
        time.sleep(call.delay)
        while True:
            try:
                response = self.http.send(call.build(self.http), **options)
                if response.is_success:
                    return response
                response.read()
                raise refusal(response)
            except (httpx.TransportError, ApiError) as error:
                pause = failures.pause(error)
            time.sleep(pause)

    @contextmanager
    def stream(self, call: Call) -> Iterator[httpx.Response]:
        """The answer while it arrives; raises as `send`, also when it breaks off."""
        response = self.send(call, stream=True)
        try:
            yield response
        except httpx.TransportError as error:
            raise_for_user(error, str(self.http.base_url))
        finally:
            response.close()

    def download(self, call: Call, begin: Begin) -> None:
        """Write the answer to a file, from its start again when it breaks off.

        Raises:
            ApiError, ConnectionFailed: as `send`.
            DownloadError: it broke off too often.
        """
        failures = Failures(call, self.retries, str(self.http.base_url))
        while True:
            with closing(self.send(call, stream=True)) as response:
                try:
                    with begin() as write:
                        for chunk in response.iter_bytes():
                            write(chunk)
                    return
                except httpx.TransportError as error:
                    pause = failures.pause_download(error, response)
            time.sleep(pause)


class AsyncTransport:
    """`Transport` without blocking."""

    def __init__(self, http: httpx.AsyncClient, retries: Retries) -> None:
        self.http, self.retries = http, retries

    async def run(self, flow: Flow[T]) -> T:
        """Carry out an operation."""
        try:
            call = next(flow)
            while True:
                try:
                    answer = await self.send(call)
                except PakaError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(answer)
        except StopIteration as end:
            return end.value

    async def send(self, call: Call, **options: Any) -> httpx.Response:
        """Return the answer to a call; raises as `Transport.send`."""
        failures = Failures(call, self.retries, str(self.http.base_url))
        await asyncio.sleep(call.delay)
        while True:
            try:
                response = await self.http.send(call.build(self.http), **options)
                if response.is_success:
                    return response
                await response.aread()
                raise refusal(response)
            except (httpx.TransportError, ApiError) as error:
                pause = failures.pause(error)
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[httpx.Response]:
        """The answer while it arrives; raises as `Transport.stream`."""
        response = await self.send(call, stream=True)
        try:
            yield response
        except httpx.TransportError as error:
            raise_for_user(error, str(self.http.base_url))
        finally:
            await response.aclose()

    async def download(self, call: Call, begin: Begin) -> None:
        """Write the answer to a file; raises as `Transport.download`."""
        failures = Failures(call, self.retries, str(self.http.base_url))
        while True:
            async with aclosing(await self.send(call, stream=True)) as response:
                try:
                    with begin() as write:
                        async for chunk in response.aiter_bytes():
                            write(chunk)
                    return
                except httpx.TransportError as error:
                    pause = failures.pause_download(error, response)
            await asyncio.sleep(pause)
