"""Following a job although connections break and the service is away for a while."""

import time

import httpx

from service.client.call import Call, decode, get, id_of
from service.client.errors import ConnectionFailed, PakaError, RateLimited, ServiceUnavailable
from service.client.refusals import foreign
from service.client.schemas import Event, Job

SILENCE_SECONDS = 45.0
"""The service says something every 15 seconds, if only that it is there."""

OUTAGE_SECONDS = 600.0
"""How long a job is followed while the service is silent."""

PASSING = (ConnectionFailed, RateLimited, ServiceUnavailable)
"""What may pass while the job goes on."""

_PAUSE_SECONDS = 0.5


class Patience:
    """How long the service has failed without saying anything, and whether that is too long.

    Args:
        seconds: that are borne; default: `OUTAGE_SECONDS`.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = OUTAGE_SECONDS if seconds is None else seconds
        self.heard()

    def heard(self) -> None:
        """The service has said something."""
        self._failing_since: float | None = None

    def bear(self, error: PakaError) -> None:
        """Raise `error` if it will not pass, or has not for too long."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if not isinstance(error, PASSING) or now - self._failing_since > self._seconds:
            raise error


class Following:
    """A job's events, put together of the streams that it takes; knows nothing of connections.

    Args:
        after: id of the last event that was seen.
        patience: default: that of an outage.
    """

    def __init__(self, job: Job | str, after: int = 0, patience: Patience | None = None) -> None:
        self._job = id_of(job)
        self._last = after
        self._patience = patience or Patience()
        self._fruitless = 0

    def call(self) -> Call:
        """The request for what comes next."""
        headers = {"Last-Event-ID": str(self._last), "Accept": "text/event-stream"}
        return get(f"/jobs/{self._job}/events", headers=headers, timeout=SILENCE_SECONDS)

    def is_over(self, response: httpx.Response) -> bool:
        """Whether the answer to the call is that nothing will come.

        Raises:
            ForeignAnswer: it is no stream of events either.
        """
        if response.status_code == httpx.codes.NO_CONTENT:
            return True
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            raise foreign(response)
        return False

    def read(self, line: str, response: httpx.Response) -> Event | None:
        """The event that a line of the stream holds, if it does.

        Raises:
            ForeignAnswer: it holds what is none of the service's events.
        """
        if line:  # also one that only keeps the connection open
            self._patience.heard()
            self._fruitless = 0
        if not line.startswith("data:"):
            return None  # the data have all that the lines `id` and `event` say
        event = decode(Event.model_validate_json, line.removeprefix("data:"), response)
        self._last = event.id
        return event

    def broke_off(self, error: PakaError | None = None) -> float:
        """Seconds to wait before the stream is asked for again.

        Args:
            error: why it ended; None if it just did.

        Raises:
            PakaError: `error`, if it is final, or the patience has come to its end.
        """
        if error:
            self._patience.bear(error)
        self._fruitless += 1
        return 0.0 if self._fruitless == 1 else _PAUSE_SECONDS * 2 ** min(self._fruitless, 3)
