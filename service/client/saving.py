"""Downloads: written aside, compared with their sha256, and only then put in place."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paka.files import replacing
from service.client.errors import DownloadError


@contextmanager
def saving(
    path: Path, sha256: str | None = None, show: Callable[[int], object] = lambda _: None
) -> Iterator[Callable[[bytes], None]]:
    """Give a function that takes a file's content piece by piece.

    Args:
        sha256: of the whole content, if it is known.
        show: is told how many bytes there are so far.

    Raises:
        DownloadError: the content is another one; then nothing is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with replacing(path) as aside:
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
