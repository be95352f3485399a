"""What is not the service's, but a proxy's, a login page's or another server's."""

import httpx
import numpy as np
import pytest

from service.client import ApiError, PakaError, read_features
from service.client.errors import ForeignAnswer

URL = "http://paka.lab"
EVENTS = {"content-type": "text/event-stream"}
CALLS = {
    "an object": lambda client: client.me(),
    "a list": lambda client: list(client.jobs()),
    "checkpoints": lambda client: client.checkpoints("job_1"),
    "metrics": lambda client: client.metric_rows("job_1"),
    "features": lambda client: client.embed(np.zeros((8, 8, 3), np.uint8)),
    "events": lambda client: list(client.events("job_1")),
    "waiting": lambda client: client.wait("job_1"),
}


def answering(status, **answer):
    """A transport that gives each request the same answer."""
    return httpx.MockTransport(lambda _: httpx.Response(status, **answer))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("answer", "kind"),
    [({"html": "<h1>Sign in</h1>"}, "text/html"), ({"json": {"hello": 1}}, "application/json")],
    ids=["login page", "other service"],
)
def test_a_success_of_something_else_is_told_from_the_service(make_client, call, answer, kind):
    client = make_client(URL, transport=answering(200, **answer))
    with pytest.raises(ForeignAnswer, match=f"{URL}/.* is not a PaKA Service .* sent {kind}"):
        call(client)


def test_what_was_sent_instead_is_quoted(make_client):
    client = make_client(URL, transport=answering(200, html="<h1>Sign in</h1>"))
    with pytest.raises(PakaError, match="begins '<h1>Sign in</h1>'") as caught:
        client.me()
    assert caught.value.url == f"{URL}/me"


def test_a_stream_of_other_events_is_told_from_the_service(make_client):
    client = make_client(URL, transport=answering(200, headers=EVENTS, text="data: tick\n\n"))
    with pytest.raises(ForeignAnswer, match="tick"):
        list(client.events("job_1"))


@pytest.mark.parametrize("status", [499, 520, 599])
def test_a_status_without_a_name_is_quoted(make_client, status):
    client = make_client(URL, transport=answering(status, text="web server is down"))
    with pytest.raises(ApiError, match=f"answered {status}: web server is down") as caught:
        client.me()
    assert caught.value.status == status


def test_an_address_that_sends_on_says_where_to(make_client):
    there = "https://paka.lab/me"
    client = make_client(URL, transport=answering(308, headers={"Location": there}))
    with pytest.raises(ApiError, match=f"answered 308 Permanent Redirect to {there}"):
        client.me()


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>a page</html>", (2).to_bytes(8, "little") + b"{}"],
    ids=["nothing", "a page", "other tensors"],
)
def test_a_file_without_features_is_refused(content):
    with pytest.raises(ValueError, match="no safetensors file of dense features"):
        read_features(content)
