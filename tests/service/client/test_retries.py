import httpx
import pytest

from service.client import Retries
from service.client.call import get
from service.client.retries import StopRetrying


@pytest.mark.parametrize("kind", [httpx.UnsupportedProtocol, httpx.LocalProtocolError])
def test_a_request_that_cannot_be_sent_is_not_sent_again(kind):
    with pytest.raises(StopRetrying):
        Retries().pause(get("/me"), 1, kind("it cannot be sent"))
    assert Retries().pause(get("/me"), 1, httpx.RemoteProtocolError("it broke off")) > 0
