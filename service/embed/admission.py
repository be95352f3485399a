"""Which embedding requests are let in: what they may hold in memory, and how long they may wait."""

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from service.errors import ApiError
from service.store.settings import Settings

ROOMY_SECONDS = 1.0
"""For so long a queue that was less than half full is taken to have room."""
_RECENT = 32
"""Answers from which the pace is taken; of so few, a cold start is soon forgotten."""


class Place:
    """What one request in progress holds of the API's memory."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.bytes = 0

    def reserve(self, size: int) -> None:
        """Hold `size` bytes more, until the request has ended.

        Raises:
            ApiError: 413, it would be more than all requests together may hold; 429, it is more
                than the others leave.
        """
        self._admission.check_bytes(self.bytes, size)
        self._admission.bytes += size
        self.bytes += size


class Admission:
    """Counts the requests in progress and what they hold, and knows how fast they are answered.

    It belongs to the event loop, and so needs no locks. By the monotonic clock, `worker_seen_at` is
    when a live worker was last found, and until `roomy_until` the queue is taken to have room.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.requests = 0
        self.bytes = 0
        self.worker_seen_at = self.roomy_until = -math.inf
        self._answers: deque[tuple[int, float]] = deque(maxlen=_RECENT)

    @contextmanager
    def enter(self) -> Iterator[Place]:
        """Let a request in, until the block ends.

        Raises:
            ApiError: 429, as many are in progress as may be.
        """
        limit = self._settings.embed_requests
        if self.requests >= limit:
            raise self.refusal("embed_busy", f"{limit} embedding requests are in progress")
        place = Place(self)
        self.requests += 1
        try:
            yield place
        finally:
            self.requests -= 1
            self.bytes -= place.bytes

    def check_bytes(self, held: int, more: int) -> None:
        """Raise as `Place.reserve` does."""
        limit = self._settings.embed_memory_bytes
        if held + more > limit:
            detail = (
                f"this request would take {held + more:,} bytes of memory, {limit:,} at most: send "
                "fewer images, a smaller size, fewer layers, or a `dataset`, which makes a job"
            )
            raise ApiError(413, "request_too_large", detail)
        if self.bytes + more > limit:
            detail = f"embedding requests hold {self.bytes:,} of {limit:,} bytes of memory"
            raise self.refusal("embed_busy", detail)

    def check_queue(self, waiting: int, size: int) -> None:
        """Raise 429 if `waiting` others, of `size` bytes together, are too many to wait behind."""
        self.roomy_until = -math.inf
        limit, limit_bytes = self._settings.embed_queue_limit, self._settings.embed_queue_bytes
        if waiting >= limit:
            detail = f"{waiting} embedding requests wait, {limit} at most"
            raise self.refusal("embed_queue_full", detail)
        if size >= limit_bytes:
            detail = f"{size:,} bytes of embedding requests wait, {limit_bytes:,} at most"
            raise self.refusal("embed_queue_full", detail)
        self.check_wait(waiting)
        if waiting < limit / 2 and size < limit_bytes / 2:
            self.roomy_until = time.monotonic() + ROOMY_SECONDS

    def check_wait(self, waiting: int) -> None:
        """Raise 429 if a request behind `waiting` others would not be answered in time."""
        limit = self._settings.embed_timeout_seconds
        wait = waiting * self._pace()
        if wait > limit:
            detail = (
                f"{waiting} embedding requests wait, about {wait:.0f} s; {limit:g} s is the limit"
            )
            raise self.refusal("embed_queue_full", detail, wait - limit)

    def note(self, place: int, seconds: float) -> None:
        """Learn from a request: it was in this place of the queue and took so long."""
        self._answers.append((max(place, 1), seconds))

    def _pace(self) -> float:
        """Seconds for each place in the queue, 0 if nothing is known: the lower of two guesses.

        A median does not mind a cold start; a mean by places follows at once when a longer queue
        shows what batches save.
        """
        if not self._answers:
            return 0.0
        places, seconds = zip(*self._answers, strict=True)
        return min(
            median(duration / place for place, duration in self._answers),
            sum(seconds) / sum(places),
        )

    def refusal(self, code: str, detail: str, seconds: float | None = None) -> ApiError:
        """429, to come back after `seconds`; by default, as long as a request takes these days."""
        if seconds is None:
            seconds = median([duration for _, duration in self._answers] or [1.0])
        wait = math.ceil(seconds)
        headers = {"Retry-After": str(max(wait, 1))}
        return ApiError(429, code, f"{detail}; try again later", headers=headers)
