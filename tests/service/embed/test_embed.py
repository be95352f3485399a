import base64
import importlib
import io
import json
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from service.app import create_app
from service.store.contract import EMBED_PENDING_KEY, EMBED_QUEUE, read_metadata, worker_key

ENCODER = "test_vit@random"
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
BAD_OPTIONS = [
    ({"encoder": "vit_nope"}, "invalid_request", "encoder"),
    ({"encoder": ""}, "invalid_request", "encoder"),
    ({"encoder": "enc_short"}, "invalid_request", "encoder"),
    ({"encoder": "enc_" + "0" * 26}, "encoder_not_found", "encoder"),
    ({"encoder": "test_vit@/etc/passwd"}, "path_outside_roots", "encoder.weights"),
    ({"size": "33"}, "invalid_request", "size"),
    ({"size": "0"}, "invalid_request", "size"),
    ({"size": "2064"}, "invalid_request", "size"),
    ({"size": "big"}, "invalid_request", "size"),
    ({"size": "16,16,16"}, "invalid_request", "size"),
    ({"layers": "99"}, "invalid_request", "layers"),
    ({"layers": "a"}, "invalid_request", "layers.0"),
    ({"dtype": "int8"}, "invalid_request", "dtype"),
    ({"pooling": "max"}, "invalid_request", "pooling"),
    ({"resize": "pad"}, "invalid_request", "resize"),
    ({"normalize": "0"}, "invalid_request", "normalize"),
    ({"colour": "red"}, "invalid_request", "colour"),
]
BAD_BODIES = [
    (b"{", 400, "invalid_json", None),
    (b"[" * 100_000, 400, "invalid_json", None),
    (b"[]", 422, "invalid_request", None),
    (b"{}", 422, "invalid_request", None),
    (b'{"images": []}', 422, "invalid_request", "images"),
    (b'{"images": ["###"]}', 422, "invalid_request", "images.0"),
    (b'{"images": ["aGk="]}', 422, "image_unreadable", "images.0"),
    (b'{"images": ["aGk="], "dataset": "photos"}', 422, "invalid_request", None),
    (b'{"dataset": "/etc"}', 422, "path_outside_roots", "dataset"),
    (b'{"dataset": "photos", "size": 15}', 422, "invalid_request", "size"),
    (b'{"dataset": "photos", "batch_size": 0}', 422, "invalid_request", "batch_size"),
]


def ask(api, image, accept=None, **fields):
    headers = {"Accept": accept} if accept else {}
    data = {"encoder": ENCODER, "size": "32", "resize": "stretch", **fields}
    return api.post("/embed", files={"images": ("a.png", image)}, data=data, headers=headers)


def bomb(width=20_000, height=20_000):
    """A small PNG file whose header promises many pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


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


def test_a_bad_option_is_named_and_leaves_nothing_behind(
    api, worker, halves, snapshot, assert_problem
):
    before = snapshot()
    for fields, code, field in BAD_OPTIONS:
        detail = assert_problem(ask(api, halves, **fields), 422, code, field)
        assert "Value error" not in detail
        assert snapshot() == before, fields
    assert worker.requests == []


def test_a_bad_image_is_named_and_leaves_nothing_behind(
    api, worker, halves, jpeg, snapshot, assert_problem
):
    before = snapshot()
    for bad in (b"", b"no image", jpeg[: len(jpeg) // 2], bomb(), b"GIF89a"):
        files = [("images", ("good.png", halves)), ("images", ("bad.jpg", bad))]
        response = api.post("/embed", files=files, data={"encoder": ENCODER})
        detail = assert_problem(response, 422, "image_unreadable", "images.1")
        assert "bad.jpg" in detail
    assert snapshot() == before
    assert worker.requests == []


def test_a_bad_json_body_is_a_problem_and_leaves_nothing_behind(
    api, worker, folder, snapshot, assert_problem
):
    before = snapshot()
    headers = {"Content-Type": "application/json"}
    for body, status, code, field in BAD_BODIES:
        response = api.post("/embed", content=body, headers=headers)
        assert_problem(response, status, code, field)
        assert snapshot() == before, body[:50]


def test_a_body_that_is_neither_multipart_nor_json_is_refused(api, worker, assert_problem):
    for headers in ({"Content-Type": "image/jpeg"}, {}):
        response = api.post("/embed", content=b"x", headers=headers)
        assert_problem(response, 415, "wrong_content_type")
    headers = {"Content-Type": "multipart/form-data"}
    assert_problem(api.post("/embed", content=b"x", headers=headers), 400, "bad_request")


def test_images_must_be_there_and_be_files(api, worker, assert_problem):
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}

    def send(name):
        part = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\nx\r\n--b--\r\n'
        return api.post("/embed", content=part, headers=boundary)

    assert "-F images=@" in assert_problem(send("images"), 422, "invalid_request", "images.0")
    assert_problem(send("size"), 422, "invalid_request", "size")


def test_too_many_images_or_pixels_belong_in_a_job(
    settings, serving, worker, halves, assert_problem
):
    settings = settings.model_copy(update={"embed_max_images": 2, "embed_max_pixels": 5000})
    with serving(create_app(settings)) as api:
        files = [("images", ("a", halves))] * 3
        response = api.post("/embed", files=files, data={"encoder": ENCODER, "size": 32})
        assert "dataset" in assert_problem(response, 413, "too_many_images")
        body = {"encoder": ENCODER, "images": [base64.b64encode(halves).decode()] * 3}
        assert_problem(api.post("/embed", json=body), 413, "too_many_images")
        assert "dataset" in assert_problem(ask(api, halves, size="80"), 413, "too_many_pixels")
        assert ask(api, halves).status_code == 200


def test_a_body_that_is_too_large_is_refused_whether_or_not_it_says_so(
    settings, serving, worker, assert_problem
):
    settings = settings.model_copy(update={"embed_max_bytes": 100_000})

    def chunks():
        yield b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
        yield from (b"x" * 10_000 for _ in range(1000))

    with serving(create_app(settings)) as api:
        assert_problem(ask(api, b"x" * 100_001), 413, "body_too_large")
        for kind in ("multipart/form-data; boundary=b", "application/json"):
            response = api.post("/embed", content=chunks(), headers={"Content-Type": kind})
            assert_problem(response, 413, "body_too_large")


def test_without_a_worker_the_client_is_told_to_come_back(api, halves, snapshot, assert_problem):
    before = snapshot()
    response = ask(api, halves)
    assert_problem(response, 503, "no_embed_worker")
    assert int(response.headers["retry-after"]) > 0
    assert snapshot() == before


def test_without_redis_the_client_is_told_to_come_back(
    settings, serving, halves, tmp_path, assert_problem
):
    settings = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/none.sock"})
    with serving(create_app(settings)) as api:
        response = ask(api, halves)
        assert_problem(response, 503, "queue_unavailable")
        assert int(response.headers["retry-after"]) > 0


def test_a_full_queue_refuses_more(settings, serving, redis, halves, snapshot, assert_problem):
    redis.set(worker_key("embed", "busy"), "{}")
    redis.rpush(EMBED_PENDING_KEY, b"1", b"2")
    before = snapshot()
    settings = settings.model_copy(update={"embed_queue_limit": 2})
    with serving(create_app(settings)) as api:
        response = ask(api, halves)
    assert_problem(response, 429, "embed_queue_full")
    assert int(response.headers["retry-after"]) > 0
    assert snapshot() == before


def test_a_request_without_an_answer_times_out_and_waits_no_longer(
    settings, serving, redis, halves, assert_problem
):
    redis.set(worker_key("embed", "stuck"), "{}")
    settings = settings.model_copy(update={"embed_timeout_seconds": 0.5})
    with serving(create_app(settings)) as api:
        assert_problem(ask(api, halves), 504, "embed_timeout")
    assert redis.llen(EMBED_PENDING_KEY) == 0


@pytest.mark.parametrize(
    ("code", "status"), [("encoder_unavailable", 422), ("out_of_memory", 503), ("internal", 500)]
)
def test_a_workers_error_becomes_a_problem(api, worker, halves, assert_problem, code, status):
    worker.error = (code, "why it could not be done")
    response = ask(api, halves)
    assert assert_problem(response, status, code) == "why it could not be done"
    assert ("retry-after" in response.headers) == (status == 503)


def test_a_data_set_becomes_a_job(api, folder):
    body = {"dataset": "photos", "encoder": ENCODER, "size": 32, "name": "all", "batch_size": 4}
    key = {"Idempotency-Key": "k"}
    response = api.post("/embed", json=body, headers=key)
    job = response.json()
    assert (response.status_code, job["kind"], job["name"]) == (202, "embed", "all")
    assert response.headers["location"] == f"/jobs/{job['id']}"
    assert job["config"] == {
        "encoder": {"architecture": "test_vit", "weights": "random"},
        "dataset": str(folder),
        "options": {
            "size": 32,
            "resize": "crop",
            "layers": None,
            "dtype": "float16",
            "normalize": False,
            "pooling": "native",
        },
        "format": "safetensors",
        "batch_size": 4,
        "workers": 2,
    }
    assert api.post("/embed", json=body, headers=key).json()["id"] == job["id"]


def test_a_key_of_a_training_job_cannot_be_used_for_an_embed_job(api, folder, assert_problem):
    key = {"Idempotency-Key": "k"}
    api.post("/train", json={"preset": "tiny", "dataset": "photos"}, headers=key)
    response = api.post("/embed", json={"dataset": "photos"}, headers=key)
    assert_problem(response, 422, "idempotency_key_reused")


@pytest.fixture
def evil(monkeypatch):
    """The module `decode_or_die`, whose function the API has called in its decoding processes."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1])  # children find it by this too
    module = importlib.import_module("decode_or_die")
    monkeypatch.setattr("service.embed.service.prepare_image", module.prepare_or_die)
    return module


def test_an_image_that_ends_its_decoder_is_refused_and_no_other_request_notices(
    settings, serving, worker, halves, evil, assert_problem
):
    settings = settings.model_copy(update={"decode_processes": 2, "decode_seconds": 1})
    with serving(create_app(settings)) as api, ThreadPoolExecutor(7) as clients:
        contents = (evil.CRASH, evil.HANG, evil.EAT)
        refused = [clients.submit(ask, api, content) for content in contents]
        served = [clients.submit(ask, api, halves) for _ in range(4)]
        for response in refused:
            assert_problem(response.result(), 422, "image_unreadable", "images.0")
        assert [response.result().status_code for response in served] == [200] * 4


def ask_until_admitted(api, image):
    while (response := ask(api, image)).status_code == 429:
        pass
    return response


def test_while_too_many_images_wait_to_be_decoded_more_are_refused(
    settings, serving, worker, halves, evil, assert_problem
):
    update = {"decode_processes": 1, "decode_seconds": 2, "decode_queue_limit": 1}
    with (
        serving(create_app(settings.model_copy(update=update))) as api,
        ThreadPoolExecutor(1) as clients,
    ):
        hanging = clients.submit(ask_until_admitted, api, evil.HANG)
        until = time.monotonic() + 10
        while (response := ask(api, halves)).status_code == 200 and time.monotonic() < until:
            pass
        assert_problem(response, 429, "decoders_busy")
        assert response.headers["retry-after"] == "1"
        assert_problem(hanging.result(), 422, "image_unreadable")


def test_a_worker_of_another_version_is_no_time_out(api, worker, jpeg, assert_problem):
    worker.contract += 1
    response = api.post("/embed", files={"images": jpeg}, data={"encoder": ENCODER})
    detail = assert_problem(response, 503, "worker_outdated")
    assert "update the older of the two" in detail
    assert int(response.headers["retry-after"]) > 0
    worker.error = ("worker_outdated", "update the worker")
    response = api.post("/embed", files={"images": jpeg}, data={"encoder": ENCODER})
    assert_problem(response, 503, "worker_outdated")
