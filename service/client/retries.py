"""When to send a request again, and how long to wait before."""

import random
from dataclasses import dataclass

import httpx

from service.client.call import Call
from service.client.errors import ApiError, PakaError, RateLimited, ServiceUnavailable


@dataclass(frozen=True)
class Retries:
    """Pauses double from `first` on, with some chance in them so that clients do not come all at
    once; a service that names a time is given it.

    Attributes:
        most: times that a request is sent again.
        first: seconds before the first of them.
        longest: seconds of a single pause; a service that asks for more is not waited for.
    """

    most: int = 5
    first: float = 0.5
    longest: float = 60.0

    def pause(self, call: Call, failures: int, error: httpx.TransportError | PakaError) -> float:
        """Seconds to wait before the call is sent again.

        Args:
            failures: how often it has failed, this time included.

        Raises:
            StopRetrying: it should not be sent again.
        """
        if failures > self.most or not call.retries or not _may_help(call, error):
            raise StopRetrying
        asked = (error.retry_after or 0.0) if isinstance(error, ApiError) else 0.0
        if asked > self.longest:
            raise StopRetrying
        pause = min(self.first * 2 ** (failures - 1), self.longest)
        return max(asked, pause / 2) + random.random() * pause / 2  # noqa: S311  for no secret


_HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""The request itself cannot be sent; it is no better the next time."""


class StopRetrying(Exception):
    """A request should not be sent again."""


def _may_help(call: Call, error: httpx.TransportError | PakaError) -> bool:
    if isinstance(error, _HOPELESS):
        return False
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | RateLimited):
        return True  # the service has done nothing
    return call.repeatable and isinstance(error, httpx.TransportError | ServiceUnavailable)
