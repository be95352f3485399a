import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from service.store.contract import (
    EMBED_PENDING_KEY,
    EmbedError,
    EmbedRequest,
    result_key,
    worker_key,
)

PATCH, DIM = 16, 3


class EmbedWorker:
    """Answers requests as the contract says: a patch's token is the mean colour of its pixels."""

    def __init__(self, redis):
        self.redis = redis
        self.requests = []
        self.error = None
        self.paused = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.redis.set(worker_key("embed", "w"), json.dumps({"name": "w", "kind": "embed"}))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._closed.set()
        self._thread.join()

    def _run(self):
        while not self._closed.is_set():
            if self.paused.is_set():
                self._closed.wait(0.02)
            elif taken := self.redis.blpop([EMBED_PENDING_KEY], timeout=0.05):
                request = EmbedRequest.from_bytes(taken[1])
                self.requests.append(request)
                self.redis.rpush(result_key(request.id), self._answer(request))

    def _answer(self, request):
        from safetensors.numpy import save

        if self.error:
            return EmbedError(*self.error).to_bytes()
        b, height, width, _ = request.pixels.shape
        h, w = height // PATCH, width // PATCH
        blocks = request.pixels.reshape(b, h, PATCH, w, PATCH, DIM)
        tokens = blocks.mean((2, 4)).astype(request.options["dtype"])
        about = {"encoder": request.encoder, "grid": [h, w], "inference_seconds": 0.25}
        tensors = {
            "patch_tokens": tokens,
            "image_features": np.ascontiguousarray(tokens.mean((1, 2))),
            "boxes": request.boxes,
            "original_sizes": request.original_sizes,
        }
        return save(tensors, {"paka": json.dumps(about)})


@pytest.fixture
def worker(redis):
    """A live embedding worker."""
    with EmbedWorker(redis) as worker:
        yield worker


@pytest.fixture
def jpeg(photos):
    """A photograph as the bytes of a JPEG file."""
    return (photos / "astronaut.jpg").read_bytes()


@pytest.fixture
def halves():
    """A PNG of 64 x 32 pixels, red on the left and blue on the right."""
    image = Image.new("RGB", (64, 32), (255, 0, 0))
    image.paste((0, 0, 255), (32, 0, 64, 32))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
