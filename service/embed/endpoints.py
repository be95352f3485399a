"""HTTP for embedding."""

import time
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from service import accept
from service.auth.deps import MemberDep
from service.deps import IdempotencyKey, ResourcesDep
from service.embed import formats
from service.embed.bodies import JSON, MULTIPART, read_body, until_gone
from service.embed.schemas import EmbedAnswer, EmbedBody, EmbedForm
from service.jobs.schemas import JobView
from service.metrics.registry import MetricsDep
from service.openapi import binary, problems

router = APIRouter(tags=["embed"])

FEATURES = "Features, in the format that `Accept` asks for."

# FastAPI cannot say "either of two content types": the body is read by `read_body`.
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        MULTIPART: {"schema": EmbedForm.model_json_schema()},
        JSON: {"schema": EmbedBody.model_json_schema()},
    },
}


@router.post(
    "/embed",
    summary="Dense features of images",
    response_class=Response,
    openapi_extra={"requestBody": REQUEST_BODY},
    responses={
        200: {"model": EmbedAnswer, **binary(FEATURES, *formats.FORMATS[:2])[200]},
        202: {"model": JobView, "description": "A `dataset` was given: a job was accepted."},
        **problems(400, 406, 413, 415, 429, 503, 504),
    },
)
async def embed(
    request: Request,
    resources: ResourcesDep,
    actor: MemberDep,
    metrics: MetricsDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Images in, one vector per patch out.

    Send files as multipart (`curl -F images=@cat.jpg -F encoder=… -F size=448`) or in base64 as
    JSON. The answer, by `Accept`:

    - `application/x-safetensors` (default): `patch_tokens` (B, h, w, D), `image_features` (B, D),
      `boxes` (B, 4), `original_sizes` (B, 2); the geometry as JSON in the metadata's `paka`.
    - `application/x-npy`: `patch_tokens` alone, the rest as JSON in the header `X-PaKA-Geometry`.
    - `application/json`: arrays in base64, in Python
      `np.frombuffer(base64.b64decode(a["data"]), a["dtype"]).reshape(a["shape"])`.

    Row i, column j of a grid (h, w) shows, of its box (x0, y0, x1, y1) in the original image's
    pixels, the part from x0 + j (x1 - x0) / w and y0 + i (y1 - y0) / h on.

    With a `dataset` instead of images (JSON only), the answer is 202 and a job. The headers
    `x-queue-time` and `x-inference-time` give seconds.
    """
    # NumPy, Pillow and Redis are slow to import, and need not hold up the start.
    from service.embed import answers, service

    media_type = accept.choose(request.headers.get("accept", ""), formats.FORMATS)
    started_at = time.perf_counter()
    with resources.admission.enter() as place:
        await service.check_before_reading(resources, request, place)
        fields, images = await read_body(request, resources.settings.embed_max_images)
        if isinstance(fields, EmbedBody) and fields.dataset is not None:
            job = await run_in_threadpool(service.submit, resources, actor, fields, idempotency_key)
            location = {"Location": f"/jobs/{job.id}"}
            return JSONResponse(job.model_dump(mode="json"), 202, headers=location)
        gone = partial(until_gone, request)
        count = len(images)
        done = await service.embed(resources, actor, fields, images, place, gone)
        rendered = await answers.render(done.answer, media_type)
    total = time.perf_counter() - started_at
    metrics.embedded(count, done.queue_seconds, done.inference_seconds, total)
    headers = {
        "x-queue-time": f"{done.queue_seconds:.6f}",
        "x-inference-time": f"{done.inference_seconds:.6f}",
        **rendered.headers,
    }
    return Response(rendered.content, media_type=media_type, headers=headers)
