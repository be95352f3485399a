import base64
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from safetensors.numpy import load

from service.store.contract import EMBED_QUEUE, read_metadata
from tests.service.embed.asking import ENCODER, ask

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

ACCEPTED = [
    ("", 200, "application/x-safetensors"),
    ("*/*", 200, "application/x-safetensors"),
    ("application/*", 200, "application/x-safetensors"),
    ("application/json, */*;q=0.1", 200, "application/json"),
    ("application/x-npy;q=0.9, application/json;q=0.2", 200, "application/x-npy"),
    ("*/*, application/x-safetensors;q=0", 200, "application/x-npy"),
    ("text/html", 406, "application/problem+json"),
    ("application/json;q=0", 406, "application/problem+json"),
    ("application/json;q=x", 406, "application/problem+json"),
]


def test_one_image_gives_one_vector_per_patch_as_safetensors(api, worker, halves):
    response = ask(api, halves, size="32,64")
    assert (response.status_code, response.headers["content-type"]) == (
        200,
        "application/x-safetensors",
    )
    found = load(response.content)
    assert found["patch_tokens"].shape == (1, 2, 4, 3)
    assert found["patch_tokens"].dtype == np.float16
    assert (found["patch_tokens"][0, :, :2] == [255, 0, 0]).all()
    assert (found["patch_tokens"][0, :, 2:] == [0, 0, 255]).all()
    assert found["boxes"].tolist() == [[0, 0, 64, 32]]
    assert found["original_sizes"].tolist() == [[64, 32]]
    assert json.loads(read_metadata(response.content)["paka"])["encoder"] == ENCODER
    assert float(response.headers["x-inference-time"]) == 0.25
    assert float(response.headers["x-queue-time"]) >= 0


def test_the_worker_gets_what_the_contract_says(api, worker, jpeg, redis):
    ask(api, jpeg, size="32,48", layers="-2,-1", dtype="float32", normalize="true", pooling="mean")
    (request,) = worker.requests
    assert (request.architecture, request.weights) == ("test_vit", "random")
    assert request.options == {
        "size": [32, 48],
        "resize": "stretch",
        "layers": [-2, -1],
        "dtype": "float32",
        "normalize": True,
        "pooling": "mean",
    }
    assert request.pixels.shape == (1, 32, 48, 3)
    assert (request.pixels.dtype, request.boxes.dtype) == (np.uint8, np.float32)
    assert 0 < request.expires_at - time.time() <= 20
    assert redis.llen(EMBED_QUEUE) == 1  # the wake-up


def test_json_brings_the_same_images_and_answers_in_base64(api, worker, halves):
    body = {
        "encoder": ENCODER,
        "size": 32,
        "images": [base64.b64encode(halves).decode()] * 2,
        "layers": [-1],
    }
    response = api.post("/embed", json=body, headers={"Accept": "application/json"})
    assert response.headers["content-type"] == "application/json"
    first, second = response.json()["images"]
    assert first == second
    assert (first["box"], first["original_size"]) == ([16, 0, 48, 32], [64, 32])
    array = first["patch_tokens"]
    values = np.frombuffer(base64.b64decode(array["data"]), array["dtype"]).reshape(array["shape"])
    assert values.tolist() == [[[255, 0, 0], [0, 0, 255]]] * 2
    assert first["image_features"]["shape"] == [3]
    assert response.json()["geometry"]["grid"] == [2, 2]


def test_npy_holds_the_patch_tokens_and_a_header_the_geometry(api, worker, halves):
    response = ask(api, halves, "application/x-npy")
    assert np.load(io.BytesIO(response.content)).shape == (1, 2, 2, 3)
    geometry = json.loads(response.headers["x-paka-geometry"])
    assert geometry["grid"] == [2, 2]
    assert geometry["boxes"] == [[0, 0, 64, 32]]


def test_images_of_any_size_keep_their_order(api, worker, halves, jpeg):
    files = [("images", ("a", jpeg)), ("images", ("b", halves)), ("images", ("c", jpeg))]
    response = api.post("/embed", files=files, data={"encoder": ENCODER, "size": 32})
    found = load(response.content)
    assert found["original_sizes"].tolist() == [[320, 320], [64, 32], [320, 320]]
    assert (found["patch_tokens"][0] == found["patch_tokens"][2]).all()


def test_an_image_is_turned_upright(api, worker, halves):
    from PIL import Image

    image = Image.open(io.BytesIO(halves))
    exif = image.getexif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    found = load(ask(api, buffer.getvalue(), size="64,32").content)
    assert found["original_sizes"].tolist() == [[32, 64]]
    assert (found["patch_tokens"][0, :2] == [255, 0, 0]).all()


def test_many_requests_at_once_each_get_their_own_answer(api, worker):
    from PIL import Image

    def one(grey):
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), (grey,) * 3).save(buffer, "PNG")
        return load(ask(api, buffer.getvalue()).content)["patch_tokens"].max()

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(0, 96, 2))) == list(range(0, 96, 2))


def test_the_format_follows_accept(api, worker, halves):
    for accept, status, content_type in ACCEPTED:
        response = ask(api, halves, accept)
        found = (response.status_code, response.headers["content-type"])
        assert found == (status, content_type), accept
