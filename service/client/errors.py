"""Every error that the client raises on purpose.

PakaError
├── ApiError                the service refused: `status`, `code`, `detail`, `errors`
│   ├── InvalidRequest      400, 413, 415, 422; `fields` says what is wrong with which
│   ├── Unauthorized        401: no key, or one that does not work
│   ├── Forbidden           403: your role, or somebody else's job
│   ├── NotFound            404
│   ├── Conflict            409: not in this state, or the name is taken
│   ├── RateLimited         429: too often, or too much waits; `retry_after` in seconds
│   └── ServiceUnavailable  502, 503, 504
├── ConnectionFailed        no answer at all
├── ForeignAnswer           an answer that no PaKA Service gives
├── ConfigError             an address, a key or a file's name that cannot be one
├── JobFailed               a job that was waited for failed: `job`, `code`, `reason`
├── JobCancelled            a job that was waited for was cancelled: `job`
├── DownloadError           a file that broke off or did not arrive as it was sent
└── MissingPackage          something that this call needs is not installed
"""

from collections.abc import Sequence
from typing import NamedTuple

from paka.errors import PakaError
from service.client.schemas import Job

__all__ = [
    "ApiError",
    "Conflict",
    "ConnectionFailed",
    "DownloadError",
    "FieldError",
    "Forbidden",
    "ForeignAnswer",
    "InvalidRequest",
    "JobCancelled",
    "JobFailed",
    "MissingPackage",
    "NotFound",
    "PakaError",
    "RateLimited",
    "ServiceUnavailable",
    "Unauthorized",
]


class FieldError(NamedTuple):
    """What is wrong with one field of a request."""

    field: str
    message: str


class ApiError(PakaError):
    """The service refused a request.

    Attributes:
        status: of HTTP.
        code: the reason for programs, such as `job_not_found`; it stays the same over versions.
        detail: the reason for people.
        errors: each field that is wrong.
        retry_after: seconds after which to try again, if the service said so.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        retry_after: float | None = None,
    ) -> None:
        self.status, self.code, self.detail = status, code, detail
        self.errors, self.retry_after = tuple(errors), retry_after
        super().__init__(self._text())

    @property
    def fields(self) -> dict[str, str]:
        """What is wrong with each field, by its path, such as `optim.batch_size`."""
        return dict(self.errors)

    def _text(self) -> str:
        if not self.errors:
            return f"{self.detail} ({self.status} {self.code})"
        width = max(len(error.field) for error in self.errors)
        lines = [f"  {error.field:<{width}}  {error.message}" for error in self.errors]
        return "\n".join([f"the service refused the request ({self.status} {self.code})", *lines])


class InvalidRequest(ApiError):
    """A field of the request cannot be used, or the request is too large."""


class Unauthorized(ApiError):
    """There is no key, or it does not work."""


class Forbidden(ApiError):
    """The key's user may not do this."""


class NotFound(ApiError):
    """There is no such thing, or the key's user may not see it."""


class Conflict(ApiError):
    """What is there does not allow it, such as a job that has ended already."""


class RateLimited(ApiError):
    """Too many requests, or too much waits already."""


class ServiceUnavailable(ApiError):
    """Something that the request needs is away."""


class ConnectionFailed(PakaError):
    """The service gave no answer.

    Attributes:
        url: where it was looked for.
    """

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        super().__init__(
            f"no answer from {url} ({reason}); start the service there with `paka-server up`, or "
            "name another by PakaClient(url=…) or PAKA_URL"
        )


class ForeignAnswer(PakaError):
    """What answers is not a PaKA Service, but a login page before it, or something else.

    Attributes:
        url: what was asked for.
    """

    def __init__(self, url: str, answer: str) -> None:
        self.url = url
        super().__init__(
            f"what answers at {url} is not a PaKA Service that this client knows: it sent "
            f"{answer}; log in to the network or proxy before it, or name another by "
            "PakaClient(url=…) or PAKA_URL"
        )


class JobFailed(PakaError):
    """A job that was waited for has failed.

    Attributes:
        job: as it ended.
        code: the reason for programs.
        reason: the reason for people.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.code = job.error.code if job.error else "unknown"
        self.reason = (job.error.message if job.error else None) or "no reason is known"
        super().__init__(f"{job.id} failed: {self.reason} ({self.code})")


class JobCancelled(PakaError):
    """A job that was waited for was cancelled.

    Attributes:
        job: as it ended.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(f"{job.id} was cancelled; resume(job) goes on from its last checkpoint")


class DownloadError(PakaError):
    """A file broke off on its way, or did not arrive as it was sent."""


class MissingPackage(PakaError):
    """Something that this call needs is not installed."""
