"""Dense features of images that are sent along."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import httpx

from service.client.call import Call, Flow, decode, given, id_of
from service.client.errors import FieldError, InvalidRequest
from service.client.features import Features, join, read_features
from service.client.images import File, halves
from service.client.schemas import Encoder

BATCH = 16
"""Images in one request."""

CONCURRENCY = 4
"""Requests in flight."""

MAX_BYTES = 64 * 2**20


class FeatureOptions(TypedDict, total=False):
    """Which features, and how images are brought to the encoder's input.

    Attributes:
        resize: `crop` (default): the largest centred part; `stretch`: all of the image.
        layers: blocks whose patch tokens are joined along D, such as (-4, -1); default: the last.
        dtype: `float16` (default) or `float32`.
        normalize: scale every vector to length one.
        pooling: image features: `native` (default, the model's own), `cls` or `mean`.
    """

    resize: Literal["crop", "stretch"]
    layers: Sequence[int]
    dtype: Literal["float16", "float32"]
    normalize: bool
    pooling: Literal["native", "cls", "mean"]


def embed_fields(
    encoder: str | Encoder | None, size: int | tuple[int, int] | None, options: FeatureOptions
) -> dict[str, str]:
    """The fields of a form, in which everything is text."""
    fields = given(encoder=None if encoder is None else id_of(encoder), size=size, **options)
    return {name: _text(value) for name, value in fields.items()}


def embed_files(files: Sequence[File], first: int, fields: Mapping[str, str]) -> Flow[Features]:
    """The features of some images, by several requests where one would be too large.

    Args:
        first: position of the first among all of the user's images.

    Raises:
        InvalidRequest: an option, or an image, that cannot be used.
    """
    if len(files) > 1 and sum(len(file.content) for file in files) > MAX_BYTES:
        return (yield from _embed_halves(files, first, fields))
    call = Call(
        "POST",
        "/embed",
        data=fields,
        files=[("images", (file.name, file.content)) for file in files],
        headers={"Accept": "application/x-safetensors"},
        repeatable=True,
    )
    try:
        answer = yield call
    except InvalidRequest as error:
        # Not by its code: a proxy that takes fewer bytes than the service knows none of ours.
        if error.status == httpx.codes.REQUEST_ENTITY_TOO_LARGE and len(files) > 1:
            return (yield from _embed_halves(files, first, fields))
        raise _counted_from(first, error) from None
    return decode(read_features, answer.content, answer)


def _embed_halves(files: Sequence[File], first: int, fields: Mapping[str, str]) -> Flow[Features]:
    left, right = halves(files)
    return join(
        [
            (yield from embed_files(left, first, fields)),
            (yield from embed_files(right, first + len(left), fields)),
        ]
    )


def _counted_from(first: int, error: InvalidRequest) -> InvalidRequest:
    """The same error, with images counted among all of the user's and not of one request."""
    fields = []
    for field, message in error.errors:
        head, _, number = field.partition(".")
        shifted = head == "images" and number.isdecimal()
        fields.append(FieldError(f"images.{first + int(number)}" if shifted else field, message))
    return InvalidRequest(error.status, error.code, error.detail, fields, error.retry_after)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
