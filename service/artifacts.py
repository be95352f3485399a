"""Files that jobs made, as answers."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response

from service.errors import ApiError
from service.store.settings import Settings

BINARY = "application/octet-stream"
_CHUNK = 64 * 1024


def artifact(settings: Settings, path: str) -> Path:
    """Return a file below the artifacts folder.

    Raises:
        ApiError: 404; it is not on the disk, or not below that folder.
    """
    file = (settings.artifacts_folder / path).resolve()
    if not file.is_relative_to(settings.artifacts_folder) or not file.is_file():
        raise ApiError(404, "artifact_not_found", f"{path} is not in the artifact store (yet)")
    return file


def download(request: Request, file: Path, name: str, sha256: str | None = None) -> Response:
    """Answer with a file; with its sha256 as ETag, a client that has it already gets 304."""
    media_type = "application/json" if file.suffix == ".json" else BINARY
    headers = {"ETag": f'"{sha256}"'} if sha256 else {}
    if sha256 and f'"{sha256}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(file, media_type=media_type, filename=name, headers=headers)


def read_from(file: Path, start: int, end: int) -> Iterator[bytes]:
    """Yield a part of a file that may be growing."""
    with file.open("rb") as source:
        source.seek(start)
        while start < end and (chunk := source.read(min(_CHUNK, end - start))):
            start += len(chunk)
            yield chunk


def start_of_last_lines(file: Path, lines: int) -> int:
    """Where the last `lines` (1 or more) lines of a file begin, read from its end in blocks."""
    with file.open("rb") as source:
        # The last byte is part of the last line, be it a line break or not.
        position = max(source.seek(0, 2) - 1, 0)
        while position > 0:
            size = min(_CHUNK, position)
            position -= size
            source.seek(position)
            block = source.read(size)
            breaks = block.count(b"\n")
            if breaks >= lines:
                for _ in range(lines):
                    size = block.rindex(b"\n", 0, size)
                return position + size + 1
            lines -= breaks
    return 0


def remove_job_folder(settings: Settings, job_id: str) -> None:
    """Remove all that a job made; nothing is wrong if it made nothing."""
    folder = settings.job_folder(job_id)
    if folder.exists():
        shutil.rmtree(folder)
