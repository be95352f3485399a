"""What `POST /embed` does when it is asked for more than it can do, or when a part goes away."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.app import create_app
from service.embed import admission, pending
from service.store.contract import EMBED_AWAKE_KEY, EMBED_PENDING_KEY, EMBED_QUEUE

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def ask(api, image):
    data = {"encoder": "test_vit@random", "size": "32"}
    return api.post("/embed", files={"images": image}, data=data)


def head(length, kind="multipart/form-data; boundary=b"):
    """The head of a request whose body may follow."""
    return (
        f"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def connect(api):
    return socket.create_connection(("127.0.0.1", api.base_url.port), timeout=20)


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("update", "code"),
    [
        ({"embed_memory_bytes": 2**20}, b"request_too_large"),
        ({"embed_queue_limit": 1}, b"embed_queue_full"),
        ({"embed_queue_bytes": 2**20}, b"embed_queue_full"),
    ],
)
def test_what_has_no_room_is_refused_before_its_body_is_read(
    settings, serving, redis, busy_worker, update, code
):
    redis.rpush(EMBED_PENDING_KEY, b"x" * 2**21)
    with serving(create_app(settings.model_copy(update=update))) as api, connect(api) as client:
        client.sendall(head(20_000_000))
        answer = b""
        while code not in answer:
            answer += client.recv(4096) or pytest.fail(f"the connection ended after {answer!r}")


def test_who_finds_a_queue_that_has_filled_up_meanwhile_is_refused_and_waits_no_longer(
    settings, serving, redis, busy_worker, halves, assert_problem, monkeypatch
):
    monkeypatch.setattr(admission, "ROOMY_SECONDS", 60)
    settings = settings.model_copy(update={"embed_queue_limit": 2})
    with serving(create_app(settings)) as api, ThreadPoolExecutor(1) as clients:
        first = clients.submit(ask, api, halves)  # finds it empty
        until(lambda: redis.llen(EMBED_PENDING_KEY) == 1)
        redis.rpush(EMBED_PENDING_KEY, b"another")
        assert_problem(ask(api, halves), 429, "embed_queue_full")
        assert redis.llen(EMBED_PENDING_KEY) == 2
        redis.delete(busy_worker)
        assert first.result(timeout=5).status_code == 503


def test_a_request_that_is_still_arriving_takes_a_place(
    settings, serving, worker, halves, assert_problem
):
    settings = settings.model_copy(update={"embed_requests": 1})
    with serving(create_app(settings)) as api:
        with connect(api) as client:
            client.sendall(head(20_000_000) + b"--b\r\n")
            until(lambda: ask(api, halves).status_code == 429)
            response = ask(api, halves)
            assert_problem(response, 429, "embed_busy")
            assert int(response.headers["retry-after"]) > 0
        until(lambda: ask(api, halves).status_code == 200)


def test_a_data_set_becomes_a_job_while_no_image_can_be_embedded(api, redis, busy_worker, folder):
    redis.rpush(EMBED_PENDING_KEY, *[b"x"] * 256)
    body = {"dataset": "photos", "encoder": "test_vit@random"}
    assert api.post("/embed", json=body).status_code == 202


def test_a_client_that_goes_away_is_waited_for_no_longer(api, redis, busy_worker, halves):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="encoder"\r\n\r\ntest_vit@random\r\n'
        b'--b\r\nContent-Disposition: form-data; name="size"\r\n\r\n32\r\n'
        b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
        + halves
        + b"\r\n--b--\r\n"
    )
    with connect(api) as client:
        client.sendall(head(len(body)) + body)
        until(lambda: redis.llen(EMBED_PENDING_KEY) == 1)
    until(lambda: redis.llen(EMBED_PENDING_KEY) == 0)


def test_when_the_last_worker_dies_who_waits_is_told_soon(
    api, redis, busy_worker, halves, assert_problem, monkeypatch
):
    monkeypatch.setattr(pending, "LOOK_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as clients:
        asked = clients.submit(ask, api, halves)
        until(lambda: redis.llen(EMBED_PENDING_KEY) == 1)
        redis.delete(busy_worker)
        assert_problem(asked.result(timeout=5), 503, "no_embed_worker")
    assert redis.llen(EMBED_PENDING_KEY) == 0


def test_a_worker_that_is_awake_is_not_woken(api, redis, busy_worker, halves):
    redis.set(EMBED_AWAKE_KEY, 1)
    with ThreadPoolExecutor(1) as clients:
        asked = clients.submit(ask, api, halves)
        until(lambda: redis.llen(EMBED_PENDING_KEY) == 1)
        assert redis.llen(EMBED_QUEUE) == 0
        redis.delete(busy_worker)
        asked.result(timeout=5)


def test_one_wake_up_is_enough_for_all_that_wait(api, redis, busy_worker, halves):
    with ThreadPoolExecutor(3) as clients:
        asked = [clients.submit(ask, api, halves) for _ in range(3)]
        until(lambda: redis.llen(EMBED_PENDING_KEY) == 3)
        until(lambda: redis.llen(EMBED_QUEUE) == 1)
        redis.delete(busy_worker)
        assert {one.result(timeout=5).status_code for one in asked} == {503}
    assert redis.llen(EMBED_QUEUE) == 1


def test_a_wake_up_that_was_lost_is_sent_again(api, redis, busy_worker, halves, monkeypatch):
    monkeypatch.setattr(pending, "LOOK_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as clients:
        asked = clients.submit(ask, api, halves)
        until(lambda: redis.llen(EMBED_QUEUE) == 1)
        redis.delete(EMBED_QUEUE)
        until(lambda: redis.llen(EMBED_QUEUE) == 1)
        redis.delete(busy_worker)
        assert asked.result(timeout=5).status_code == 503
