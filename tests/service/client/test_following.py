"""Jobs are followed over connections that break and while the service is away."""

import json

import httpx
import pytest

from service.client import ConnectionFailed, NotFound, ServiceUnavailable

EVENTS = {"content-type": "text/event-stream"}
AWAY = httpx.ConnectError("refused")
NOON = "2026-11-26T12:00:00Z"
JOB = {
    **{"id": "job_1", "kind": "train", "status": "running", "user": "ada", "created_at": NOON},
    **{"visibility": "lab", "priority": "normal", "slots": 1, "attempt": 1},
    **{"cancel_requested": False, "config": {}, "links": {}},
}


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer that breaks off."""

    def __init__(self, *chunks):
        self._chunks = chunks

    def __iter__(self):
        yield from self._chunks
        raise httpx.ReadError("the proxy cut the stream")

    async def __aiter__(self):
        for chunk in self:
            yield chunk


def cut(*chunks):
    return httpx.Response(200, headers=EVENTS, stream=Cut(*chunks))


def event(number):
    said = {"id": number, "time": NOON, "attempt": 1, "type": "message", "level": "info"}
    return f"data: {json.dumps(said | {'message': 'saved'})}\n\n".encode()


def script(*answers):
    """A transport that gives these answers, some by their status alone, and the last for ever."""
    left = list(answers)
    asked = []

    def answer(request):
        asked.append(request)
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found) if isinstance(found, int) else found

    transport = httpx.MockTransport(answer)
    transport.asked = asked
    return transport


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("service.client.following._PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("service.client.operations.jobs.LOG_SECONDS", 0.001)
    monkeypatch.setattr("service.client.operations.jobs.POLL_SECONDS", 0.001)


def test_a_stream_that_only_shows_signs_of_life_may_be_cut_for_ever(make_client, monkeypatch):
    monkeypatch.setattr("service.client.following.OUTAGE_SECONDS", 0.0)
    alive = [cut(b": still here\n\n") for _ in range(5)]
    transport = script(cut(event(1)), *alive, cut(event(2)), 204)
    found = make_client(retries=0, transport=transport).events("job_1")
    assert [one.id for one in found] == [1, 2]
    assert [one.headers["last-event-id"] for one in transport.asked] == ["0", *["1"] * 6, "2"]


@pytest.mark.parametrize("failure", [AWAY, 503, 429])
def test_events_go_on_once_the_service_is_back(make_client, failure):
    transport = script(cut(event(1)), *[failure] * 6, cut(event(2)), 204)
    found = make_client(retries=0, transport=transport).events("job_1")
    assert [one.id for one in found] == [1, 2]


def test_a_log_goes_on_once_the_service_is_back(make_client):
    running, ended = (httpx.Response(200, json=JOB | {"status": s}) for s in ("running", "failed"))
    first, last = (httpx.Response(200, text=f"{line}\n") for line in ("one", "two"))
    transport = script(running, first, *[AWAY] * 6, ended, 502, ended, last)
    found = make_client(retries=0, transport=transport).follow_log("job_1")
    assert list(found) == ["one\n", "two\n"]
    offsets = [one.url.params["offset"] for one in transport.asked if "offset" in one.url.params]
    assert offsets == ["0", "4", "4"]


@pytest.mark.parametrize("what", ["events", "follow_log"])
def test_a_service_that_stays_away_is_not_waited_for_for_ever(make_client, what, monkeypatch):
    monkeypatch.setattr("service.client.following.OUTAGE_SECONDS", 0.05)
    transport = script(AWAY)
    with pytest.raises(ConnectionFailed):
        list(getattr(make_client(retries=0, transport=transport), what)("job_1"))
    assert len(transport.asked) > 3


@pytest.mark.parametrize("what", ["events", "follow_log"])
def test_what_will_not_pass_ends_it_at_once(make_client, what):
    transport = script(404)
    with pytest.raises(NotFound):
        list(getattr(make_client(retries=0, transport=transport), what)("job_1"))
    assert len(transport.asked) == 1


def test_waiting_looks_at_the_job_where_no_stream_comes_through(make_client, monkeypatch):
    for module in ("client", "async_client"):
        monkeypatch.setattr(f"service.client.{module}.SILENCE_SECONDS", 0.02)

    def answer(request):
        if request.url.path.endswith("/events"):
            return cut()
        return httpx.Response(200, json=JOB | {"status": "succeeded"})

    client = make_client(retries=0, transport=httpx.MockTransport(answer))
    assert client.wait("job_1").status == "succeeded"


def test_waiting_bears_an_outage_as_long(make_client, monkeypatch):
    for module in ("client", "async_client"):
        monkeypatch.setattr(f"service.client.{module}.SILENCE_SECONDS", 0.0)
    monkeypatch.setattr("service.client.following.OUTAGE_SECONDS", 0.05)
    transport = script(503)
    with pytest.raises(ServiceUnavailable):
        make_client(retries=0, transport=transport).wait("job_1")
    assert {one.url.path for one in transport.asked} == {"/jobs/job_1", "/jobs/job_1/events"}
