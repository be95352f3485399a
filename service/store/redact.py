"""Keeping passwords and keys out of logs and errors."""

import logging
import re

_WORD = re.compile(r"\S+")
_PASSWORD = re.compile(r"(://[^:/@]*:).*")  # of scheme://user:password@host, what is before the @
_SECRETS = (
    (re.compile(r"((?:[?&\s]|^)password=)[^&\s]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"(paka_)[0-9A-Za-z]{16,}"), r"\1***"),
)


def redact(text: str) -> str:
    """Return a text without the passwords of URLs and without keys."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return _WORD.sub(_without_password, text) if "://" in text else text


def _without_password(word: re.Match[str]) -> str:
    """Users choose what errors quote: one pattern for all of it would look at each part for each
    other part, and hold up the server for hours.
    """
    before, at, host = word[0].rpartition("@")
    return _PASSWORD.sub(r"\1***", before, count=1) + at + host


def redact_logs() -> None:
    """Redact whatever this process logs from now on, by the handlers that it has now."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    known = [logger for logger in loggers if isinstance(logger, logging.Logger)]
    handlers = [handler for logger in known for handler in logger.handlers]
    for handler in (*handlers, logging.lastResort):
        if handler and not isinstance(handler.formatter, Redacting):
            handler.setFormatter(Redacting(handler.formatter))


class Redacting(logging.Formatter):
    """Another formatter's lines, tracebacks included, without secrets."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redact(self._inner.format(record))
