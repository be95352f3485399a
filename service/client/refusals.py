"""From an answer that is no success, or no answer, to an error of `service.client.errors`."""

import email.utils
import json
import time

import httpx

from service.client import errors
from service.client.errors import ApiError, FieldError

_KINDS: dict[int, type[ApiError]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.InvalidRequest,
    415: errors.InvalidRequest,
    422: errors.InvalidRequest,
    429: errors.RateLimited,
    502: errors.ServiceUnavailable,
    503: errors.ServiceUnavailable,
    504: errors.ServiceUnavailable,
}
_EXCERPT = 200


def refusal(response: httpx.Response) -> ApiError:
    """The error that an answer stands for; its body was read."""
    status = response.status_code
    kind = _KINDS.get(status, ApiError)
    retry_after = seconds_to_wait(response.headers.get("retry-after", ""))
    try:
        body = json.loads(response.content)
        fields = [FieldError(item["field"], item["message"]) for item in body.get("errors", [])]
        return kind(status, body["code"], body["detail"], fields, retry_after)
    except (ValueError, KeyError, TypeError, AttributeError):
        # Not from the service: a proxy before it, or something else at this address.
        return kind(status, "http_error", _describe(response), (), retry_after)


def foreign(response: httpx.Response, content: bytes | str = "") -> errors.ForeignAnswer:
    """The error that a success stands for whose content is not the service's.

    Args:
        content: what could not be read; none if nothing was.
    """
    text = content.decode(errors="replace") if isinstance(content, bytes) else content
    kind = response.headers.get("content-type", "something of no stated type")
    begins = f" that begins {text[:_EXCERPT]!r}" if text else ""
    return errors.ForeignAnswer(str(response.url), f"{kind}{begins}")


def no_answer(error: httpx.TransportError, url: str) -> errors.ConnectionFailed:
    """The error that a failed connection stands for."""
    return errors.ConnectionFailed(url, str(error) or type(error).__name__)


def broken_off(error: httpx.TransportError, response: httpx.Response) -> errors.DownloadError:
    """The error that a download stands for which has not come to its end."""
    return errors.DownloadError(
        f"the download of {response.url} broke off after {response.num_bytes_downloaded} bytes "
        f"({str(error) or type(error).__name__}); try again"
    )


def seconds_to_wait(retry_after: str) -> float | None:
    """Seconds from a `Retry-After` header, which may also be a date."""
    try:
        return max(float(retry_after), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _describe(response: httpx.Response) -> str:
    answered = f"{response.url} answered {response.status_code} {response.reason_phrase}".rstrip()
    if response.has_redirect_location:
        place = response.headers["location"]
        return f"{answered} to {place}; if the service is there, give that address instead"
    text = " ".join(response.text.split())[:_EXCERPT]
    return f"{answered}: {text or 'nothing'}"
