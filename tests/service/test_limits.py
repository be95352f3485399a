import asyncio
import json

import pytest

from service.limits import BodyLimit


def call(app, chunks, headers=(), path="/"):
    """Send a request body in chunks; return what the application sent."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": list(headers)}
    asyncio.run(app(scope, receive, send))
    return sent, len(messages)


async def reads_all(_scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send(size)


def test_a_body_up_to_the_limit_passes():
    app = BodyLimit(reads_all, {"/big": 20}, 10, 5)
    assert call(app, [b"x" * 5] * 2)[0] == [10]
    assert call(app, [b"x" * 5] * 4, path="/big")[0] == [20]
    assert call(app, [b"x" * 5] * 4, path="/big/")[0] == [20]


def test_an_announced_size_is_refused_before_anything_is_read():
    app = BodyLimit(reads_all, {}, 10, 5)
    (start, body), unread = call(app, [b"x" * 11], [(b"content-length", b"11")])
    assert (start["status"], unread) == (413, 0)  # drained, so that the client sees the answer
    assert json.loads(body["body"])["code"] == "body_too_large"


@pytest.mark.parametrize("length", [b"9" * 5000, b"0" * 5000 + b"1"])
def test_a_size_that_is_no_number_of_bytes_is_refused(length):
    (start, _), _ = call(BodyLimit(reads_all, {}, 10, 5), [b""], [(b"content-length", length)])
    assert start["status"] == 413


def test_a_client_that_waits_for_a_word_to_send_is_told_no_at_once():
    app = BodyLimit(reads_all, {}, 10, 5)
    headers = [(b"content-length", b"11"), (b"expect", b"100-continue")]
    (start, _), unread = call(app, [b"x" * 11], headers)
    assert (start["status"], unread) == (413, 2)


def test_reading_stops_at_the_limit():
    from starlette.exceptions import HTTPException

    app = BodyLimit(reads_all, {}, 10, 5)
    with pytest.raises(HTTPException, match="10 bytes") as caught:
        call(app, [b"x" * 6] * 1000)
    assert caught.value.status_code == 413


def test_other_connections_pass():
    async def app(scope, _receive, _send):
        scope["seen"] = True

    scope = {"type": "lifespan"}
    asyncio.run(BodyLimit(app, {}, 1, 5)(scope, None, None))
    assert scope["seen"]


def test_a_body_that_comes_too_slowly_is_refused():
    from starlette.exceptions import HTTPException

    async def slow_client():
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"x", "more_body": True}

    app = BodyLimit(reads_all, {}, 10**6, 0.2)
    with pytest.raises(HTTPException, match="not arrived within") as caught:
        asyncio.run(app({"type": "http", "path": "/", "headers": []}, slow_client, None))
    assert caught.value.status_code == 408


def test_a_large_body_may_take_longer_and_after_it_there_is_no_hurry():
    messages = [
        {"type": "http.request", "body": b"x" * 10**5, "more_body": i < 2} for i in range(3)
    ]

    async def receive():
        await asyncio.sleep(0.1)
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def waits_for_the_end(_scope, receive, _send):
        while (await receive())["type"] != "http.disconnect":
            pass

    app = BodyLimit(waits_for_the_end, {}, 10**6, 0.15)
    asyncio.run(app({"type": "http", "path": "/", "headers": []}, receive, None))
