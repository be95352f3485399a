"""A job's stream of events, put together again each time that its connection breaks."""

import httpx

from service.client.call import Call, decode, get, id_of
from service.client.errors import ConnectionFailed, PakaError, RateLimited, ServiceUnavailable
from service.client.refusals import foreign
from service.client.schemas import Event, Job

SILENCE_SECONDS = 45.0
"""The service says something every 15 seconds, if only that it is there."""

NO_STREAM = (ConnectionFailed, RateLimited, ServiceUnavailable)
"""Why a stream may end, or not begin, although the job goes on."""

_FRUITLESS = 2
_PAUSE_SECONDS = 0.5


class Following:
    """Where in a job's events somebody is; knows nothing of connections."""

    def __init__(self, job: Job | str, after: int = 0) -> None:
        self._job = id_of(job)
        self._last = after
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
        if not line.startswith("data:"):
            return None  # the data have all that the lines `id` and `event` say
        event = decode(Event.model_validate_json, line.removeprefix("data:"), response)
        self._last, self._fruitless = event.id, 0
        return event

    def broke_off(self, error: PakaError | None = None) -> float:
        """Seconds to wait before the stream is asked for again.

        Args:
            error: why it ended; None if it just did.

        Raises:
            PakaError: `error`, if it is final, or nothing has come for several times.
        """
        self._fruitless += 1
        if error and (self._fruitless >= _FRUITLESS or not isinstance(error, NO_STREAM)):
            raise error
        return 0.0 if self._fruitless == 1 else _PAUSE_SECONDS * 2 ** min(self._fruitless, 3)
