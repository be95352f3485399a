"""Requests that cannot be answered: which part is named, and nothing is left behind."""

import base64
import struct
import zlib

import pytest

from service.app import create_app
from tests.service.embed.asking import ENCODER, ask

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

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


def bomb(width=20_000, height=20_000):
    """A small PNG file whose header promises many pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


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
