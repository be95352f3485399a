"""The form of `POST /datasets`, whose archive goes to the disk as it arrives."""

from pathlib import Path
from typing import IO

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from service.datasets.unpack import check_space
from service.deps import content_type, wrong_content_type
from service.errors import ApiError, invalid_field

MULTIPART = "multipart/form-data"
ARCHIVE = "archive"

_MAX_TEXT_BYTES = 1000
_MAX_PARTS = 20


async def receive(request: Request, archive: Path, reserve_bytes: int) -> dict[str, str]:
    """Write the part `archive` to a file; return the other parts.

    Raises:
        ApiError: 400, 415 or 422; the form is not as it should be, or never ended.
        service.datasets.unpack.UnpackError: `disk_full`.
    """
    if content_type(request) != MULTIPART:
        raise wrong_content_type(request, MULTIPART)
    announced = request.headers.get("content-length", "0")
    check_space(archive.parent, int(announced), reserve_bytes)
    with archive.open("xb") as file:
        form = _Form(request.headers["content-type"], file, reserve_bytes)
        try:
            async for chunk in request.stream():
                await run_in_threadpool(form.write, chunk)
        except ClientDisconnect:
            raise ApiError(400, "bad_request", "the connection ended before the form did") from None
        return form.finish()


class _Form:
    """Takes a form in chunks of any size; its methods are what the parser calls."""

    def __init__(self, header: str, file: IO[bytes], reserve_bytes: int) -> None:
        self._file, self._folder = file, Path(file.name).parent
        self._reserve_bytes = reserve_bytes
        self._texts: dict[str, bytearray] = {}
        self._headers: dict[bytes, bytearray] = {}
        self._header = bytearray()
        self._name = ""
        self._parts = 0
        self._ended = False
        _, options = parse_options_header(header)
        callbacks = {
            name: getattr(self, f"_{name}")
            for name in (
                *("on_part_begin", "on_header_field", "on_header_value", "on_header_end"),
                *("on_headers_finished", "on_part_data", "on_end"),
            )
        }
        try:
            self._parser = MultipartParser(options.get(b"boundary", b""), callbacks)  # type: ignore[arg-type]
        except (FormParserError, ValueError) as error:
            raise _bad_form(str(error)) from None

    def write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _bad_form(str(error)) from None

    def finish(self) -> dict[str, str]:
        if not self._ended:
            raise _bad_form("its end is missing")
        try:
            return {name: bytes(text).decode() for name, text in self._texts.items()}
        except UnicodeDecodeError as error:
            raise _bad_form(f"a text is not UTF-8: {error}") from None

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise _bad_form(f"it has more than {_MAX_PARTS} parts")
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers.setdefault(bytes(self._header).lower(), bytearray()).extend(data[start:end])

    def _on_header_end(self) -> None:
        self._header.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(bytes(self._headers.get(b"content-disposition", b"")))
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name == ARCHIVE and b"filename" not in options:
            message = "is text, not a file; with curl: -F archive=@photos.tar"
            raise invalid_field(ARCHIVE, message)
        if self._name in self._texts:
            raise invalid_field(self._name, "is there twice")
        self._texts[self._name] = bytearray()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == ARCHIVE:
            check_space(self._folder, end - start, self._reserve_bytes)
            self._file.write(data[start:end])
            return
        text = self._texts[self._name]
        text += data[start:end]
        if len(text) > _MAX_TEXT_BYTES:
            raise invalid_field(self._name, f"is longer than {_MAX_TEXT_BYTES} bytes")

    def _on_end(self) -> None:
        self._ended = True


def _bad_form(reason: str) -> ApiError:
    return ApiError(400, "bad_request", f"the form cannot be read: {reason}")
