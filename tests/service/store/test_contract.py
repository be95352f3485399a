import json
import time

import numpy as np
import pytest
from safetensors.numpy import save

from service.store.contract import EmbedError, EmbedRequest, read_metadata, result_key, worker_key


def request(pixels, **values):
    images = len(pixels)
    fields = {
        "id": "emb_1",
        "encoder": "vit_tiny_patch16_224@random",
        "architecture": "vit_tiny_patch16_224",
        "weights": "random",
        "options": {"size": 224, "layers": [1], "normalize": True, "note": "größer"},
        "expires_at": time.time() + 0.125,
        "pixels": pixels,
        "boxes": np.arange(images * 4, dtype=np.float32).reshape(images, 4),
        "original_sizes": np.full((images, 2), 640, np.int32),
    }
    return EmbedRequest(**fields | values)


@pytest.mark.parametrize("images", [1, 3])
def test_an_embedding_request_arrives_as_it_was_sent(images):
    pixels = np.random.default_rng(0).integers(0, 256, (images, 32, 48, 3), dtype=np.uint8)
    sent = request(pixels)
    arrived = EmbedRequest.from_bytes(sent.to_bytes())
    for name, value in sent._asdict().items():
        other = getattr(arrived, name)
        if isinstance(value, np.ndarray):
            assert other.dtype == value.dtype
            np.testing.assert_array_equal(other, value)
        else:
            assert other == value


def test_pixels_that_are_a_view_arrive_as_they_look():
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    view = image[:, ::-1, 4:36]
    arrived = EmbedRequest.from_bytes(request(view).to_bytes())
    np.testing.assert_array_equal(arrived.pixels, view)


def test_an_error_is_told_from_an_answer():
    error = EmbedError("encoder_not_found", "no weights at /data/größer.safetensors")
    assert EmbedError.from_bytes(error.to_bytes()) == error


def test_an_answer_is_never_taken_for_an_error():
    # The first byte of an answer is the low byte of its header's length, and "{" is 123.
    tensors = {"patch_tokens": np.zeros((1, 2, 2, 4), np.float16)}
    for length in range(300):
        assert EmbedError.from_bytes(save(tensors, {"paka": "x" * length})) is None


def test_metadata_is_read_without_the_tensors():
    geometry = {"paka": json.dumps({"grid": [16, 16], "encoder": "größer"})}
    answer = save({"image_features": np.zeros((2, 8), np.float16)}, geometry)
    assert read_metadata(answer) == geometry
    assert read_metadata(save({"image_features": np.zeros(1)})) == {}


def test_keys_say_whose_they_are():
    assert result_key("emb_1") == "paka:embed:result:emb_1"
    assert worker_key("jobs", "host-1") == "paka:worker:jobs:host-1"
