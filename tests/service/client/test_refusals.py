import time

import httpx
import pytest

from service.client import (
    ApiError,
    ConnectionFailed,
    NotFound,
    RateLimited,
    Retries,
    ServiceUnavailable,
)
from service.client.refusals import seconds_to_wait

PROBLEM = {
    "title": "t",
    "status": 503,
    "detail": "Redis does not answer",
    "code": "queue",
    "errors": [],
}


def script(*answers):
    """A transport that gives these answers, and then the last one for ever."""
    left = list(answers)

    def answer(request):
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found(request) if callable(found) else found

    transport = httpx.MockTransport(answer)
    transport.left = left
    return transport


def problem(status, **headers):
    return httpx.Response(status, json=PROBLEM | {"status": status}, headers=headers)


ME = {"id": "usr_1", "name": "ada", "role": "admin", "key": None}


def test_what_may_pass_is_tried_again(make_client):
    answers = (
        httpx.ConnectError("refused"),
        problem(503),
        problem(429),
        httpx.Response(200, json=ME),
    )
    assert make_client(transport=script(*answers)).me().name == "ada"


def test_the_service_says_when_to_come_back(make_client):
    answers = (problem(429, **{"Retry-After": "1"}), httpx.Response(200, json=ME))
    started = time.monotonic()
    make_client(transport=script(*answers)).me()
    assert 1 <= time.monotonic() - started < 2


def test_nobody_waits_for_longer_than_a_minute(make_client):
    with pytest.raises(RateLimited) as caught:
        make_client(transport=script(problem(429, **{"Retry-After": "61"}))).me()
    assert caught.value.retry_after == 61


def test_after_some_tries_the_error_is_the_users(make_client):
    transport = script(*[problem(503)] * 4, httpx.Response(200, json=ME))
    with pytest.raises(ServiceUnavailable, match=r"Redis does not answer \(503 queue\)"):
        make_client(transport=transport).me()
    assert len(transport.left) == 1  # three times again
    with pytest.raises(ConnectionFailed, match="paka-server up") as caught:
        make_client(retries=0).me()
    assert caught.value.url == "http://127.0.0.1:1"


def test_answers_that_are_not_the_services_are_quoted(make_client):
    page = httpx.Response(404, html="<h1>nginx</h1>")
    with pytest.raises(NotFound, match="answered 404 Not Found: <h1>nginx</h1>") as caught:
        make_client(transport=script(lambda _: page)).me()
    assert caught.value.code == "http_error"
    with pytest.raises(ApiError) as other:
        make_client(transport=script(problem(418))).me()
    assert type(other.value) is ApiError


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3),
        ("-1", 0),
        ("", None),
        ("soon", None),
        ("Thu, 26 Nov 2020 12:00:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert seconds_to_wait(header) == seconds


def test_pauses_double_and_differ():
    from service.client.call import get

    retries = Retries(most=9, first=0.5, longest=60)
    error = ServiceUnavailable(503, "x", "y")
    for failures, most in ((1, 0.5), (2, 1), (3, 2), (9, 60)):
        pauses = {retries.pause(get("/me"), failures, error) for _ in range(20)}
        assert len(pauses) > 1 and all(most / 2 <= pause <= most for pause in pauses)
