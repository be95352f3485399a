"""Answering embedding requests: whatever waits together is run together."""

import json
import logging
import threading
import time
from collections.abc import Hashable
from typing import cast

import numpy as np
import torch
from redis import Redis
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from paka.errors import EncoderError
from paka.features import Features, extract
from paka.options import FeatureOptions, geometry
from service.store import tracing
from service.store.bucket import BucketError
from service.store.contract import (
    CONTRACT_VERSION,
    EMBED_AWAKE_KEY,
    EMBED_PENDING_KEY,
    RESULT_SECONDS,
    EmbedError,
    EmbedRequest,
    OutdatedError,
    result_key,
)
from service.store.logs import log_context
from service.store.workers import Embedding
from worker.batch_counts import BatchCounts
from worker.encoders import WarmEncoder, WarmEncoders

log = logging.getLogger(__name__)

# Images in one forward pass, beyond which a GPU gains little. No more are taken at once: whoever
# came first should not wait for those who came last, nor memory hold the whole queue.
BATCH_IMAGES = 64
LINGER_SECONDS = 0.5
"""How long to stay awake for the next request of who sends one after the other: longer than such a
client takes for an answer, shorter than anybody else notices.
"""


class Embedder:
    """Takes what waits in Redis, runs it in batches, and answers each request by itself.

    Args:
        stopping: set when the worker should leave.
    """

    def __init__(self, redis: Redis, encoders: WarmEncoders, stopping: threading.Event) -> None:
        self.redis, self.encoders, self.stopping = redis, encoders, stopping
        self.counts = BatchCounts()

    def done(self) -> Embedding:
        """What was done since the start."""
        passes, images = tuple(self.counts.passes), self.counts.images
        return Embedding(passes, images, self.encoders.loaded, len(self.encoders))

    def drain(self) -> int:
        """Answer all requests that wait, until the worker should leave; return how many. None
        waiting is nothing wrong: an earlier wake-up has taken this one's request along.
        """
        answered = 0
        while not self.stopping.is_set() and (requests := self._take() or self._linger()):
            for group in group_alike(requests):
                self._answer(group)
            answered += len(requests)
        return answered

    def _linger(self) -> list[EmbedRequest]:
        """What comes within a moment, for which no message has to wake a worker."""
        self.redis.set(EMBED_AWAKE_KEY, 1, px=int(2000 * LINGER_SECONDS))
        came = cast(
            tuple[bytes, bytes] | None,
            self.redis.blpop([EMBED_PENDING_KEY], timeout=LINGER_SECONDS),
        )
        self.redis.delete(EMBED_AWAKE_KEY)
        # Who saw the key has pushed before it went, and so is found now.
        return self._take(came and came[1])

    def _take(self, first: bytes | None = None) -> list[EmbedRequest]:
        """The next requests that are still wanted, about a batch of images; none if none waits.

        `first` is one that was taken already.
        """
        requests: list[EmbedRequest] = []
        while sum(len(one.pixels) for one in requests) < BATCH_IMAGES:
            data = first or cast(bytes | None, self.redis.lpop(EMBED_PENDING_KEY))
            first = None
            if data is None:
                break
            try:
                request = read_request(data)
            except OutdatedError as error:
                log.error("%s", error)
                if error.request_id is not None:
                    self._reply(
                        error.request_id, EmbedError("worker_outdated", str(error)).to_bytes()
                    )
                continue
            if request is not None and request.expires_at > time.time():
                requests.append(request)
        return requests

    def _answer(self, group: list[EmbedRequest]) -> None:
        """Answer requests that can share a forward pass.

        A trace shows it as part of the first request, linked to the others.
        """
        sources = [request.source or {} for request in group]
        parent, *links = [source.get("traceparent") for source in sources]
        ids = " ".join(source["request_id"] for source in sources if "request_id" in source)
        about = {"paka.requests": len(group), "paka.images": sum(len(one.pixels) for one in group)}
        with (
            log_context(request_id=ids),
            tracing.span("embed batch", about, kind="consumer", parent=parent, links=links),
        ):
            answers = self._answers(group)
        for request, answer in zip(group, answers, strict=True):
            self._reply(request.id, answer)

    def _answers(self, group: list[EmbedRequest]) -> list[bytes]:
        """An answer to each request; what goes wrong is one too."""
        started = time.time()
        try:
            return self._run(group, started)
        except EncoderError as error:
            problem = EmbedError("encoder_unavailable", str(error))
        except BucketError as error:
            problem = EmbedError("artifacts_unavailable", str(error))
        except torch.OutOfMemoryError:
            message = "not enough GPU memory for one image of this size; ask for a smaller size"
            problem = EmbedError("out_of_memory", message)
        except Exception as error:
            log.exception("embedding failed")
            problem = EmbedError("internal", f"{type(error).__name__}: {error}")
        return [problem.to_bytes()] * len(group)

    def _reply(self, request_id: str, answer: bytes) -> None:
        key = result_key(request_id)
        with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.rpush(key, answer)
            pipeline.expire(key, RESULT_SECONDS)
            pipeline.execute()

    def _run(self, group: list[EmbedRequest], started: float) -> list[bytes]:
        first = group[0]
        warm = self.encoders.get(first.architecture, first.weights)
        options = FeatureOptions.model_validate(first.options)
        pixels = np.concatenate([request.pixels for request in group])
        patches, images = run_batches(warm, pixels, options, BATCH_IMAGES, self.counts)
        seconds = time.time() - started
        counts = [len(request.pixels) for request in group]
        parts = zip(group, patches.split(counts), images.split(counts), strict=True)
        return [
            answer(request, warm, options, patch, image, seconds) for request, patch, image in parts
        ]


def read_request(data: bytes) -> EmbedRequest | None:
    """Return a request; None, and a line in the log, if it cannot be read.

    Raises:
        OutdatedError: an API of another version sent it.
    """
    try:
        return EmbedRequest.from_bytes(data)
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        log.error("an embedding request of %d bytes is dropped: %r", len(data), error)
        return None


def group_alike(requests: list[EmbedRequest]) -> list[list[EmbedRequest]]:
    """Requests for the same encoder, options and size, in the order of each group's first."""
    groups: dict[Hashable, list[EmbedRequest]] = {}
    for request in requests:
        options = json.dumps(request.options, sort_keys=True)
        key = (request.architecture, request.weights, options, request.pixels.shape[1:])
        groups.setdefault(key, []).append(request)
    return list(groups.values())


def run_batches(
    warm: WarmEncoder,
    pixels: np.ndarray,
    options: FeatureOptions,
    batch: int,
    counts: BatchCounts,
) -> tuple[Tensor, Tensor]:
    """Extract in batches; when memory is short, in smaller ones. Each is counted.

    Raises:
        torch.OutOfMemoryError: even a single image does not fit.
    """
    while True:
        try:
            parts = [
                _forward(warm, pixels[start : start + batch], options, counts)
                for start in range(0, len(pixels), batch)
            ]
            break
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
            batch //= 2
        # Not in the handler: there the exception still holds the tensors of the failed batch.
        torch.cuda.empty_cache()
    return torch.cat([p.patch_tokens for p in parts]), torch.cat([p.image_features for p in parts])


def _forward(
    warm: WarmEncoder, pixels: np.ndarray, options: FeatureOptions, counts: BatchCounts
) -> Features:
    with tracing.span("forward", {"paka.images": len(pixels)}):
        features = extract(warm.encoder, pixels, options)
    counts.note(len(pixels))
    return features


def answer(
    request: EmbedRequest,
    warm: WarmEncoder,
    options: FeatureOptions,
    patches: Tensor,
    images: Tensor,
    seconds: float,
) -> bytes:
    """One request's answer as safetensors, its geometry in the metadata."""
    about = geometry(warm.encoder.architecture, options, request.encoder, warm.sha256)
    about["inference_seconds"] = round(seconds, 6)
    tensors = {
        "patch_tokens": patches.contiguous(),
        "image_features": images.contiguous(),
        "boxes": torch.from_numpy(request.boxes),
        "original_sizes": torch.from_numpy(request.original_sizes),
    }
    return bytes(save(tensors, {"contract": str(CONTRACT_VERSION), "paka": json.dumps(about)}))
