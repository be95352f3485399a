"""Requests that no honest client sends: each gets an answer below 500, and leaves nothing."""

import json
import socket
from itertools import product

import pytest

from service.app import create_app

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BODIES = [
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b'{"dataset": "photos", "seed": ' + b"9" * 5000 + b"}",
    b'{"dataset": "photos", "seed": 1e999}',
    b'{"dataset": "photos", "optim": {"lr": NaN}}',
    b'{"dataset": "photos", "optim": {"lr": Infinity}}',
    b'{"dataset": "photos", "optim": {"epochs": -Infinity}}',
    b'{"dataset": "pho\xfftos"}',
    b'{"dataset": "\\u0000"}',
    b'{"dataset": "\\ud800"}',
    b'{"dataset": "photos", "name": "\\udfff"}',
    b'{"dataset": "photos", "name": "\\u0000"}',
    b'{"\\u0000": 1, "dataset": "photos"}',
    b'{"\\ud800": 1, "dataset": "photos"}',
    b'{"dataset": "photos", "encoder": "\\ud800"}',
    b'{"dataset": "photos", "preset": "\\ud800"}',
    json.dumps({"dataset": "x" * 500_000}).encode(),
    json.dumps({"dataset": "../" * 100_000}).encode(),
    json.dumps({str(number): 1 for number in range(50_000)}).encode(),
    "{}".encode("utf-16"),
    b"\x00" * 1000,
    b"",
]


def test_a_hostile_json_body_is_refused(api, folder, snapshot):
    before = snapshot()
    for path, body in product(("/train", "/evaluate", "/embed"), BODIES):
        response = api.post(path, content=body, headers={"Content-Type": "application/json"})
        assert 400 <= response.status_code < 500, (body[:60], response.text[:300])
        assert response.json()["code"], body[:60]
        response.text.encode()
    assert snapshot() == before


def test_of_many_bad_fields_the_first_are_named(api):
    problem = api.post("/train", json={str(number): 1 for number in range(1000)}).json()
    assert len(problem["errors"]) == 100
    assert problem["detail"].endswith("; and 901 more")  # `dataset` is missing, too


def test_a_hostile_path_is_not_found(api):
    for name in ("jobs/%00", "jobs/%ff", "encoders/%ed%a0%80", "jobs/" + "x" * 8000, "%2e%2e/etc"):
        assert api.get(f"/{name}").status_code in (404, 422), name


def test_a_hostile_query_is_refused(api):
    for query in ("limit=" + "9" * 5000, "limit=NaN", "after=%00", "status=%ff", "kind=%ed%a0%80"):
        assert 400 <= api.get(f"/jobs?{query}").status_code < 500, query


def part(name, content, *headers):
    lines = [f'Content-Disposition: form-data; name="{name}"', *headers]
    return b"--b\r\n" + "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content + b"\r\n"


FORMS = [
    part("encoder", b"x" * 2 * 2**20),  # a text of 2 MB
    part("encoder", b"\xff\xfe"),
    part("encoder", b"\x00"),
    part("x" * 10_000, b"1"),
    part("encoder", b"1", "X: " + "y" * 100_000),
    part("encoder", b"1", *[f"X-{i}: y" for i in range(1000)]),
    part("size", b"1,") * 11_000,
    part("layers", b"1," * 100_000),
    part("encoder\xff", b"1"),
    b"--b\r\n\r\n\r\n" * 1000,
    b"--b",
    b"x" * 1000,
    part('images"; filename="\x00', b"hello"),
    part('images"; filename="' + "a" * 5000, b"hello"),
]


def test_a_hostile_form_is_refused(api, embed_worker, snapshot):
    before = snapshot()
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for form in FORMS:
        response = api.post("/embed", content=form + b"--b--\r\n", headers=headers)
        assert response.status_code in (400, 413, 422), (form[:60], response.text[:300])
        assert response.json()["code"]
    assert snapshot() == before


def test_a_client_that_sends_too_slowly_is_let_go(settings, serving):
    settings = settings.model_copy(update={"body_seconds": 0.3})
    with serving(create_app(settings)) as api:
        port = api.base_url.port
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(
                b"POST /train HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 1000\r\n\r\n{"
            )
            answer = b""
            while chunk := client.recv(4096):
                answer += chunk
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer
