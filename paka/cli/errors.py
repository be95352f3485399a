"""Errors as a user should see them: one message, and an exit code that scripts can tell apart."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from paka.errors import ConfigError, PakaError

FAILED, BAD_USAGE = 1, 2


@contextmanager
def shown_errors() -> Iterator[None]:
    """Print settings that do not fit (exit code 2) and other known errors (1) without traceback."""
    try:
        yield
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            place = ".".join(str(part) for part in problem["loc"]) or "settings"
            got = "" if problem["type"] == "value_error" else f" (got {problem['input']!r})"
            message = problem["msg"].removeprefix("Value error, ")
            print(f"paka: {place}: {message}{got}", file=sys.stderr)
        raise typer.Exit(BAD_USAGE) from None
    except ConfigError as error:
        print(f"paka: {error}", file=sys.stderr)
        raise typer.Exit(BAD_USAGE) from None
    except PakaError as error:
        print(f"paka: {error}", file=sys.stderr)
        raise typer.Exit(FAILED) from None
