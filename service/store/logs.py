"""What a part of the service prints: a line an event, for people (text) or programs (JSON)."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

from service.store.redact import Redacting, redact

LogFormat = Literal["text", "json"]

_CHATTY = ("celery.worker.strategy", "alembic", "httpx")
_ids: ContextVar[Mapping[str, Any]] = ContextVar("ids", default={})  # noqa: B039  never changed


def configure_logs(level: int | str, form: LogFormat, **always: str) -> None:
    """Log to stderr from `level` on, passwords and keys taken out.

    What comes every few seconds is left out. JSON lines have the fields `always` too.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(always) if form == "json" else Redacting(TextFormatter()))
    logging.basicConfig(level=level, handlers=[handler])
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


@contextmanager
def log_context(**ids: Any) -> Iterator[None]:
    """Have each line that is logged within the block, by this thread or task, name these ids."""
    token = _ids.set({**_ids.get(), **ids})
    try:
        yield
    finally:
        _ids.reset(token)


def bind_log_context(**ids: Any) -> None:
    """The same until this thread or task ends."""
    _ids.set({**_ids.get(), **ids})


class TextFormatter(logging.Formatter):
    """Time, level, logger, message, and the ids in brackets."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line."""
        ids = dict(_ids.get())
        attempt = ids.pop("attempt", None)
        if attempt is not None and "job_id" in ids:
            ids["job_id"] = f"{ids['job_id']}/{attempt}"
        # What the message says already is not said twice.
        said = record.getMessage()
        named = [str(value) for value in ids.values() if value and str(value) not in said]
        return super().formatMessage(record) + (f" [{' '.join(named)}]" if named else "")


class JsonFormatter(Redacting):
    """One JSON object a line: what `docs/observability.md` lists.

    Args:
        always: fields of every line.
    """

    def __init__(self, always: Mapping[str, str]) -> None:
        super().__init__(None)
        self._always = dict(always)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. Each value is redacted by itself, so that the line stays JSON."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._always,
            **_ids.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        safe = {key: redact(v) if isinstance(v, str) else v for key, v in fields.items()}
        return json.dumps(safe, default=str)


def as_json_of(part: str, line: str) -> str:
    """A line that a part of the service has printed, as JSON that names the part.

    What is no JSON object (Redis, a traceback of Python itself) becomes the message of one.
    """
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        fields = {"time": now, "level": "info", "logger": part, "message": line}
    return json.dumps({**fields, "part": part})
