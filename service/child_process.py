"""What a child process does with what users send; it imports nothing of the API.

Whatever a crafted file does to its reader, it does to this process alone.
"""

import os
import resource
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from paka.choices import Resize
from paka.data.decode import decode, read_size
from paka.data.preprocess import Prepared, prepare
from paka.errors import DataError

Task = tuple[Callable[..., Any], tuple[Any, ...]]
Result = tuple[bool, Any]
"""Whether it went well, and the value or the error."""


def prepare_image(content: bytes, name: str, height: int, width: int, resize: Resize) -> Prepared:
    """Return an image file's content as an encoder's input.

    Raises:
        paka.errors.DataError: it cannot be decoded.
    """
    return prepare(decode(content, name), height, width, resize)


def check_images(paths: list[Path], max_pixels: int) -> list[str | None]:
    """Return why each file is no image that can be read by its header; None if it is one."""
    return [_check(path, max_pixels) for path in paths]


def _check(path: Path, max_pixels: int) -> str | None:
    try:
        width, height = read_size(path, path.name)
    except DataError as error:
        return str(error)
    if width * height > max_pixels:
        return f"{path.name} has {width} x {height} pixels; at most {max_pixels:,} are taken"
    return None


def serve(pipe: Connection, memory_bytes: int, seconds: float) -> None:
    """Do one task after the other until the other end of the pipe closes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # NumPy alone maps gigabytes on a machine of many cores, which it never touches.
    _limit(resource.RLIMIT_AS, psutil.Process().memory_info().vms + memory_bytes)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            function, arguments = pipe.recv()
            # The API ends a task that takes too long; this holds if the API itself is gone.
            _limit(resource.RLIMIT_CPU, int(sum(os.times()[:2]) + seconds) + 2)
            pipe.send(_result(function, arguments))


def _result(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Result:
    try:
        return True, function(*arguments)
    except DataError as error:
        return False, error


def _limit(what: int, value: int) -> None:
    """Lower a soft limit; never above the hard one that this process was given."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, hard))
