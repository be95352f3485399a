"""Files that the client writes: aside, downloads compared with their sha256, then in place."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paka.errors import ConfigError
from paka.files import replacing
from service.client.errors import DownloadError


def check_place(path: Path) -> None:
    """See that a file can be put somewhere, before anything is done for it.

    Raises:
        ConfigError: there is a folder in its place.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; give the name of a file, such as one in it")


@contextmanager
def placing(path: Path) -> Iterator[Path]:
    """`replacing` where a user wants a file: the folder for it is made.

    Raises:
        ConfigError: there is a folder in its place.
    """
    check_place(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside:
        yield aside


@contextmanager
def saving(
    path: Path, sha256: str | None = None, show: Callable[[int], object] = lambda _: None
) -> Iterator[Callable[[bytes], None]]:
    """Give a function that takes a file's content piece by piece.

    Args:
        sha256: of the whole content, if it is known.
        show: is told how many bytes there are so far.

    Raises:
        ConfigError: there is a folder in its place.
        DownloadError: the content is another one; then nothing is written.
    """
    digest, size = hashlib.sha256(), 0
    with placing(path) as aside:
        with aside.open("wb") as file:

            def write(chunk: bytes) -> None:
                nonlocal size
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                show(size)

            yield write
        if sha256 is not None and digest.hexdigest() != sha256:
            raise DownloadError(
                f"{path} did not arrive as it was sent: its sha256 is {digest.hexdigest()} instead "
                f"of {sha256}; try again"
            )


def cached_weights(sha256: str) -> Path:
    """Where weights are kept on this machine."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "paka" / "encoders" / f"{sha256}.safetensors"
