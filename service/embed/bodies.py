"""Reading the body of `POST /embed`, multipart or JSON."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from service.deps import content_type, wrong_content_type
from service.embed.schemas import EmbedBody, EmbedFields
from service.errors import ApiError, invalid, invalid_field

MULTIPART, JSON = "multipart/form-data", "application/json"
LISTS = ("size", "layers")
_MAX_PARTS = 10_000


class Image(NamedTuple):
    """An image file as it came, and what errors call it."""

    name: str
    content: bytes


async def read_body(request: Request, max_images: int) -> tuple[EmbedFields, list[Image]]:
    """Return the fields and the images; none if an `EmbedBody` names a data set.

    Raises:
        ApiError: 400, 413, 415 or 422.
    """
    kind = content_type(request)
    if kind == MULTIPART:
        return await _read_form(request, max_images)
    if kind == JSON:
        return await _read_json(request, max_images)
    raise wrong_content_type(request, MULTIPART, JSON)


async def until_gone(request: Request) -> None:
    """Return when the client has gone away; only after its body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _read_json(request: Request, max_images: int) -> tuple[EmbedFields, list[Image]]:
    content = await request.body()
    try:
        body = await run_in_threadpool(EmbedBody.model_validate_json, content)
    except ValidationError as error:
        raise invalid(error) from None
    images = [Image(f"images.{i}", data) for i, data in enumerate(body.images or [])]
    _check_count(images, max_images)
    return body, images


async def _read_form(request: Request, max_images: int) -> tuple[EmbedFields, list[Image]]:
    async with request.form(max_files=_MAX_PARTS, max_fields=_MAX_PARTS) as form:
        try:
            fields = EmbedFields.model_validate(_text_fields(form))
        except ValidationError as error:
            raise invalid(error) from None
        files = form.getlist("images")
        if not files:
            raise invalid_field("images", "there are none; send at least one file")
        _check_count(files, max_images)
        return fields, [await _read_file(file, index) for index, file in enumerate(files)]


async def _read_file(file: UploadFile | str, index: int) -> Image:
    if isinstance(file, str):
        raise invalid_field(f"images.{index}", "is text, not a file; with curl: -F images=@cat.jpg")
    return Image(file.filename or f"images.{index}", await file.read())


def _text_fields(form: FormData) -> dict[str, Any]:
    """All parts but the images; a list is a repeated part, or one with commas."""
    fields: dict[str, Any] = {}
    for key in form.keys() - {"images"}:
        values = form.getlist(key)
        if key in LISTS:
            values = [part for value in values for part in str(value).split(",")]
        fields[key] = values[0] if len(values) == 1 and key != "layers" else values
    if "normalize" in fields:
        fields["normalize"] = _boolean("normalize", fields["normalize"])
    return fields


def _boolean(field: str, value: Any) -> bool:
    """`true` or `false`, as in JSON; pydantic would take `0`, `on` and `y` for them too."""
    text = str(value).lower()
    if text not in ("true", "false"):
        raise invalid_field(field, f"is {value!r}; send true or false")
    return text == "true"


def _check_count(images: Sequence[Any], limit: int) -> None:
    if len(images) > limit:
        raise ApiError(
            413,
            "too_many_images",
            f"{len(images)} images in one request, {limit} at most: put them in a folder of the "
            "data roots and send its path as `dataset`, which makes a job",
        )
