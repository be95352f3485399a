"""Files that jobs made, as answers: from this host's disk, or from the bucket if there is one."""

import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from service.errors import RETRY_SECONDS, ApiError, unavailable
from service.store.bucket import Bucket, BucketError, bucket_of
from service.store.settings import Settings

log = logging.getLogger(__name__)

BINARY = "application/octet-stream"
_CHUNK = 2**20


class Artifact(NamedTuple):
    """A file that a job made, on this host's disk unless a bucket has it; `size` in bytes."""

    path: Path
    size: int
    bucket: Bucket | None

    def read(self, start: int, end: int) -> bytes:
        """The bytes `start` to `end`; it may be growing.

        Raises:
            ApiError: 404; it was removed meanwhile.
        """
        try:
            if self.bucket is not None:
                return self.bucket.read(self.path, start, end)
            with self.path.open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        except FileNotFoundError as error:
            raise _missing(self.path.name) from error

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """The same piece by piece."""
        while start < end and (chunk := self.read(start, min(start + _CHUNK, end))):
            start += len(chunk)
            yield chunk


def look(settings: Settings, path: str) -> Artifact | None:
    """Return a file below the artifacts folder; None if there is none."""
    file = (settings.artifacts_folder / path).resolve()
    if not file.is_relative_to(settings.artifacts_folder):
        return None
    if bucket := bucket_of(settings):
        size = bucket.size(file)
        return None if size is None else Artifact(file, size, bucket)
    return Artifact(file, file.stat().st_size, None) if file.is_file() else None


def artifact(settings: Settings, path: str, *, may_be_on_its_way: bool = False) -> Artifact:
    """Return a file below the artifacts folder.

    Args:
        may_be_on_its_way: a worker has it, and may not have brought it to the bucket yet.

    Raises:
        ApiError: 404; there is none, or it is not below that folder. 503; it is on its way.
    """
    if (found := look(settings, path)) is not None:
        return found
    if may_be_on_its_way and settings.artifacts_url is not None:
        detail = f"{path} is on its way from its worker to the object storage; ask again"
        raise unavailable("artifact_on_its_way", detail, RETRY_SECONDS)
    raise _missing(path)


def _missing(path: str) -> ApiError:
    return ApiError(404, "artifact_not_found", f"{path} is not in the artifact store (yet)")


def download(request: Request, file: Artifact, name: str, sha256: str | None = None) -> Response:
    """Answer with a file; with its sha256 as ETag, a client that has it already gets 304."""
    media_type = "application/json" if file.path.suffix == ".json" else BINARY
    headers = {"ETag": f'"{sha256}"'} if sha256 else {}
    if sha256 and f'"{sha256}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return answer(file, media_type, name, headers)


def answer(
    file: Artifact,
    media_type: str,
    name: str,
    headers: Mapping[str, str],
    disposition: str = "attachment",
) -> Response:
    """Answer with a whole file; a disk's may also be asked for in parts."""
    if file.bucket is None:
        return FileResponse(
            file.path,
            media_type=media_type,
            filename=name,
            content_disposition_type=disposition,
            headers=headers,
        )
    about = {
        "Content-Length": str(file.size),
        "Content-Disposition": f'{disposition}; filename="{name}"',
    }
    chunks = file.chunks(0, file.size)
    return StreamingResponse(chunks, media_type=media_type, headers={**headers, **about})


def start_of_last_lines(file: Artifact, lines: int) -> int:
    """Where the last `lines` (1 or more) lines of a file begin, read from its end in blocks."""
    # The last byte is part of the last line, be it a line break or not.
    position = max(file.size - 1, 0)
    while position > 0:
        size = min(_CHUNK, position)
        position -= size
        block = file.read(position, position + size)
        breaks = block.count(b"\n")
        if breaks >= lines:
            for _ in range(lines):
                size = block.rindex(b"\n", 0, size)
            return position + size + 1
        lines -= breaks
    return 0


def check_storage(settings: Settings) -> None:
    """Raise BucketError if files could not be removed now."""
    if bucket := bucket_of(settings):
        bucket.check()


def remove_job_folder(settings: Settings, job_id: str) -> None:
    """Remove all that a job made; nothing is wrong if it made nothing.

    What cannot be removed from the bucket now, making room will, since it belongs to no job.
    """
    folder, bucket = settings.job_folder(job_id), bucket_of(settings)
    if folder.exists():
        # Beside a bucket it is a cache, which a worker of this host may be removing just now.
        shutil.rmtree(folder, ignore_errors=bucket is not None)
    if bucket:
        try:
            bucket.remove(folder)
        except BucketError as error:
            log.warning("%s is left over: %s", job_id, error)
