"""Keeping passwords and keys out of logs and errors."""

import logging
import re

_SECRETS = (
    (re.compile(r"(://[^\s:/@]*:)[^\s]*(@)"), r"\1***\2"),  # scheme://user:password@host
    (re.compile(r"((?:[?&\s]|^)password=)[^&\s]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"(paka_)[0-9A-Za-z]{16,}"), r"\1***"),
)


def redact(text: str) -> str:
    """Return a text without the passwords of URLs and without keys."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def redact_logs() -> None:
    """Redact whatever this process logs from now on, by the handlers that it has now."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    known = [logger for logger in loggers if isinstance(logger, logging.Logger)]
    handlers = [handler for logger in known for handler in logger.handlers]
    for handler in (*handlers, logging.lastResort):
        if handler and not isinstance(handler.formatter, _Redacting):
            handler.setFormatter(_Redacting(handler.formatter))


class _Redacting(logging.Formatter):
    """Another formatter's lines, tracebacks included, without secrets."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redact(self._inner.format(record))
