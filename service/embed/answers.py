"""A worker's answer in the format that the client wants."""

import base64
import io
import json
from typing import Any, NamedTuple

import numpy as np
from fastapi.concurrency import run_in_threadpool
from safetensors.numpy import load as load_tensors

from service.embed.formats import NPY, SAFETENSORS
from service.embed.schemas import Array, EmbedAnswer, ImageFeatures
from service.store.contract import read_metadata

GEOMETRY_HEADER = "X-PaKA-Geometry"


class Rendered(NamedTuple):
    """Body and headers of an answer."""

    content: bytes
    headers: dict[str, str]


def read_geometry(answer: bytes) -> dict[str, Any]:
    """What a worker's answer says about its features."""
    geometry: dict[str, Any] = json.loads(read_metadata(answer)["paka"])
    return geometry


async def render(answer: bytes, media_type: str) -> Rendered:
    """Bring a worker's answer (safetensors) into the format."""
    if media_type == SAFETENSORS:
        return Rendered(answer, {})
    return await run_in_threadpool(_convert, answer, media_type)


def _convert(answer: bytes, media_type: str) -> Rendered:
    tensors, geometry = load_tensors(answer), read_geometry(answer)
    if media_type == NPY:
        buffer = io.BytesIO()
        np.save(buffer, tensors["patch_tokens"])
        for name in ("boxes", "original_sizes"):
            geometry[name] = tensors[name].tolist()
        return Rendered(buffer.getvalue(), {GEOMETRY_HEADER: json.dumps(geometry)})
    body = EmbedAnswer(geometry=geometry, images=_images(tensors))
    return Rendered(body.model_dump_json().encode(), {})


def _images(tensors: dict[str, np.ndarray]) -> list[ImageFeatures]:
    columns = ("patch_tokens", "image_features", "boxes", "original_sizes")
    return [
        ImageFeatures(
            patch_tokens=_array(patches),
            image_features=_array(image),
            box=box.tolist(),
            original_size=size.tolist(),
        )
        for patches, image, box, size in zip(*(tensors[name] for name in columns), strict=True)
    ]


def _array(values: np.ndarray) -> Array:
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    data = base64.b64encode(little.tobytes()).decode()
    return Array(shape=list(values.shape), dtype=str(values.dtype), data=data)
