"""From images to dense features: checked, decoded and cropped here, computed by a worker."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import numpy as np
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from paka.data.preprocess import Prepared
from paka.errors import DataError
from service.auth.actor import Actor
from service.child_process import prepare_image
from service.deps import Resources, content_type
from service.embed import pending
from service.embed.admission import Place
from service.embed.answers import read_geometry
from service.embed.bodies import JSON, MULTIPART, Image
from service.embed.schemas import EmbedBody, EmbedFields
from service.encoders.schemas import EncoderChoice
from service.encoders.service import ResolvedEncoder, resolve
from service.errors import ApiError, invalid_field, message_of
from service.jobs.schemas import JobView
from service.jobs.service import submit as submit_job
from service.paths import data_access, image_data
from service.request_context import source
from service.store.contract import EmbedRequest
from service.store.ids import new_id
from service.store.tracing import span

SMALL_BYTES = 2**20
"""A body that is read before it is known whether there is room for embedding."""
AT_ONCE_BYTES = 2**18
"""Pixels that are packed sooner than a thread could be asked to: one small image."""


class Embedded(NamedTuple):
    """A worker's answer as safetensors, and where the time went."""

    answer: bytes
    queue_seconds: float
    inference_seconds: float


async def check_before_reading(resources: Resources, request: Request, place: Place) -> None:
    """Refuse a request that cannot be served now, before its body is read.

    A small body in JSON may name a data set, which takes no room here: it is read first.
    So is every body where features are kept, since no worker may be needed.

    Raises:
        ApiError: 413, 429 or 503.
    """
    kind = content_type(request)
    announced = request.headers.get("content-length", "")
    size = int(announced) if announced.isdecimal() else resources.settings.embed_max_bytes
    # Of JSON there are the text, the strings in it, and what they decode to.
    place.reserve(3 * size if kind == JSON else size)
    if not resources.features.enabled and (kind == MULTIPART or size > SMALL_BYTES):
        await pending.check_capacity(resources)


async def embed(
    resources: Resources,
    actor: Actor,
    fields: EmbedFields,
    images: list[Image],
    place: Place,
    until_gone: Callable[[], Awaitable[None]],
) -> Embedded:
    """Return the images' dense features.

    Args:
        place: holds what the request takes of memory.
        until_gone: returns when the client has gone away.

    Raises:
        ApiError: a bad image or option (422), too much at once (413, 429), no worker (503), no
            answer in time (504).
        starlette.requests.ClientDisconnect: nobody wants the answer any more.
    """
    expires_at = time.time() + resources.settings.embed_timeout_seconds
    encoder = await run_in_threadpool(choose_encoder, resources, actor, fields)
    height, width = input_size(fields, encoder)
    check_pixels(len(images) * height * width, resources.settings.embed_max_pixels)
    answers = 4 if resources.features.enabled else 2
    place.reserve(len(images) * bytes_of_one(fields, encoder, height, width, answers))
    cache = resources.features
    if not cache.enabled:
        return await _compute(resources, fields, encoder, images, expires_at, until_gone)
    lookup = await run_in_threadpool(cache.find, fields, encoder, images)
    missing = lookup.missing(images)
    images.clear()
    new = None
    if missing:
        new = await _compute(resources, fields, encoder, missing, expires_at, until_gone)
    answer = await run_in_threadpool(
        cache.complete, fields, encoder, lookup, new.answer if new else None
    )
    return new._replace(answer=answer) if new else Embedded(answer, 0.0, 0.0)


async def _compute(
    resources: Resources,
    fields: EmbedFields,
    encoder: ResolvedEncoder,
    images: list[Image],
    expires_at: float,
    until_gone: Callable[[], Awaitable[None]],
) -> Embedded:
    """Decode the images, of which none is left in the list, and have a worker compute."""
    await pending.check_capacity(resources)
    prepared = await _prepare(resources, images, input_size(fields, encoder), fields)
    images.clear()
    with span("embed wait", {"paka.images": len(prepared)}, kind="client"):
        request, message = await _packed(fields, encoder, prepared, expires_at)
        asked_at = time.monotonic()
        answer = await pending.ask(resources, request, message, until_gone)
    waited = time.monotonic() - asked_at
    inference = float(read_geometry(answer).get("inference_seconds", 0.0))
    return Embedded(answer, max(waited - inference, 0.0), inference)


def bytes_of_one(
    fields: EmbedFields, encoder: ResolvedEncoder, height: int, width: int, answers: int
) -> int:
    """What one image of a request takes of memory at most, its file left out.

    The pixels are there twice, as arrays and as the message; so is the answer, as it came and as
    it is sent, and twice more where it is also kept, or put together of what was.
    """
    facts = encoder.architecture
    patches = (height // facts.patch_size) * (width // facts.patch_size)
    numbers = patches * facts.dim * len(fields.layers or (-1,))
    return 2 * height * width * 3 + answers * numbers * (2 if fields.dtype == "float16" else 4)


async def _packed(
    fields: EmbedFields, encoder: ResolvedEncoder, prepared: list[Prepared], expires_at: float
) -> tuple[EmbedRequest, bytes]:
    """A request, and as it is sent."""
    if sum(image.pixels.nbytes for image in prepared) <= AT_ONCE_BYTES:
        return _pack(fields, encoder, prepared, expires_at)
    return await run_in_threadpool(_pack, fields, encoder, prepared, expires_at)


def _pack(
    fields: EmbedFields, encoder: ResolvedEncoder, prepared: list[Prepared], expires_at: float
) -> tuple[EmbedRequest, bytes]:
    request = EmbedRequest(
        id=new_id("req"),
        encoder=fields.encoder,
        architecture=encoder.architecture.name,
        weights=encoder.weights,
        options=fields.options.model_dump(mode="json"),
        expires_at=expires_at,
        pixels=np.stack([item.pixels for item in prepared]),
        boxes=np.array([item.box for item in prepared], np.float32),
        original_sizes=np.array([item.original_size for item in prepared], np.int32),
        source=source(),
    )
    return request, request.to_bytes()


def submit(
    resources: Resources, actor: Actor, body: EmbedBody, idempotency_key: str | None
) -> JobView:
    """Accept a job that embeds a whole data set."""
    return submit_job(
        resources,
        actor,
        "embed",
        body.model_dump(mode="json", exclude_unset=True),
        lambda: configure(resources, actor, body),
        about=body,
        idempotency_key=idempotency_key,
    )


def configure(resources: Resources, actor: Actor, body: EmbedBody) -> dict[str, Any]:
    """Return the config of `paka.embed_folder`, all paths absolute."""
    encoder = choose_encoder(resources, actor, body)
    input_size(body, encoder)
    return {
        "encoder": encoder.as_config(),
        "dataset": str(image_data(body.dataset or "", data_access(resources, actor))),
        "options": body.options.model_dump(mode="json"),
        "format": body.format,
        "batch_size": body.batch_size,
        "workers": body.workers,
    }


def choose_encoder(resources: Resources, actor: Actor, fields: EmbedFields) -> ResolvedEncoder:
    """Find the encoder that the text names.

    Raises:
        ApiError: 422.
    """
    try:
        choice = EncoderChoice.model_validate(fields.encoder)
    except ValidationError as error:
        raise invalid_field("encoder", message_of(error.errors()[0])) from None
    return resolve(resources, actor, choice)


def input_size(fields: EmbedFields, encoder: ResolvedEncoder) -> tuple[int, int]:
    """Height and width of the encoder's input.

    Raises:
        ApiError: 422; the encoder cannot take this size, or has no such layers.
    """
    try:
        return fields.options.input_size(encoder.architecture)
    except ValueError as error:
        # Its messages begin with the option's name.
        raise invalid_field(str(error).split()[0], str(error)) from None


def check_pixels(pixels: int, limit: int) -> None:
    """Raise 413 if the encoder's inputs are more than one request may bring."""
    if pixels > limit:
        detail = (
            f"{pixels:,} pixels of encoder input in one request, {limit:,} at most: send fewer "
            "images, a smaller size, or a `dataset`, which makes a job"
        )
        raise ApiError(413, "too_many_pixels", detail)


async def _prepare(
    resources: Resources, images: list[Image], size: tuple[int, int], fields: EmbedFields
) -> list[Prepared]:
    resources.decoders.check_capacity()
    futures = [
        resources.decoders.submit(
            image.name, prepare_image, image.content, image.name, *size, fields.resize
        )
        for image in images
    ]
    try:
        return [
            await _decoded(index, asyncio.wrap_future(future))
            for index, future in enumerate(futures)
        ]
    finally:
        for future in futures:
            future.cancel()


async def _decoded(index: int, future: asyncio.Future[Prepared]) -> Prepared:
    try:
        return await future
    except DataError as error:
        raise invalid_field(f"images.{index}", str(error), "image_unreadable") from None
