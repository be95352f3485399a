"""Errors as a user of the command line should see them: what is wrong, and an exit code.

1: the work failed; 2: the command or its settings cannot work.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from pydantic import ValidationError

FAILED, MISUSED, STOPPED = 1, 2, 3
_TYPE_IN_PATH = re.compile(r"int|tuple\[.*\]")


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Turn the errors that a user can act upon into a message and an exit code."""
    from paka.errors import ConfigError, PakaError, one_line
    from paka.files import is_disk_full

    try:
        yield
    except ConfigError as error:
        fail(str(error), MISUSED)
    except PakaError as error:
        fail(one_line(error))
    except Exception as error:
        if not is_disk_full(error):
            raise
        fail(f"the disk is full: {error}; make space, then give the same command again")


def describe_os_error(error: OSError) -> str:
    """Which file, if it is known, and what is wrong with it."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Print an error and leave."""
    typer.secho(f"error: {message}", err=True, fg=typer.colors.RED)
    raise typer.Exit(code)


def describe(error: "ValidationError", known: Collection[str] = (), prefix: str = "") -> str:
    """What pydantic refuses as a list, one line for each: field, problem, value.

    Args:
        known: all fields there are; to an unknown one the nearest is named.
        prefix: stands before each field, such as `--`.
    """
    found = error.errors()
    fields = [_field(item) for item in found]
    width = max(map(len, fields)) + len(prefix)
    lines = [
        f"  {prefix + field:<{width}}  {_problem(item, field, known)}"
        for field, item in zip(fields, found, strict=True)
    ]
    head = "a setting cannot be used" if len(lines) == 1 else "some settings cannot be used"
    return "\n".join([head, *lines])


def nearest(name: str, known: Collection[str]) -> str:
    """A hint at the names that `name` may stand for: by the whole of it, else by its last part."""
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.7)
    if not near:
        by_end = {full.rpartition(".")[2]: full for full in known}
        end = name.rpartition(".")[2]
        near = [by_end[found] for found in difflib.get_close_matches(end, by_end, n=2)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _field(item: Mapping[str, Any]) -> str:
    path = [str(part) for part in item["loc"] if not _TYPE_IN_PATH.fullmatch(str(part))]
    return ".".join([*path, item.get("ctx", {}).get("field", "")]).strip(".")


def _problem(item: Mapping[str, Any], field: str, known: Collection[str]) -> str:
    if item["type"] == "misfit":
        return str(item["ctx"]["problem"])
    if item["type"] == "extra_forbidden":
        return f"there is no such setting{nearest(field, known)}"
    if item["type"] == "missing":
        return "must be given"
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message if isinstance(item["input"], Mapping) else f"{message}, got {item['input']!r}"
