import asyncio

import pytest

from service.app import create_app
from service.loopback import LocalRequestsOnly
from service.store.settings import is_loopback

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LOCALHOST"])
def test_loopback(host, database_url):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.evil.org", "127.1"])
def test_not_loopback(host, database_url):
    assert not is_loopback(host)


def test_only_the_names_of_this_machine_are_served(api, assert_problem):
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"):
        assert api.get("/health", headers={"Host": host}).status_code == 200, host
    for host in ("evil.org", "localhost.evil.org:8000", "10.0.0.1", "[::1", "a@b", ""):
        response = api.get("/health", headers={"Host": host})
        assert_problem(response, 421, "wrong_host")
        assert response.headers["x-content-type-options"] == "nosniff"


def test_pages_of_other_origins_may_change_nothing(api, folder, snapshot, assert_problem):
    before, body = snapshot(), {"preset": "tiny", "dataset": "photos"}
    own = f"{api.base_url.host}:{api.base_url.port}"
    for origin in ("http://evil.org", "null", f"http://{own}.evil.org", "http://localhost:1", ""):
        response = api.post("/train", json=body, headers={"Origin": origin})
        assert_problem(response, 403, "cross_origin")
    assert snapshot() == before
    assert api.get("/jobs", headers={"Origin": "http://evil.org"}).status_code == 200
    assert api.post("/train", json=body, headers={"Origin": f"http://{own}"}).status_code == 202


def test_a_server_that_others_can_reach_is_known_by_any_name(settings, serving):
    app = create_app(settings.model_copy(update={"host": "0.0.0.0"}))
    with serving(app) as api:
        assert api.get("/health", headers={"Host": "paka.lab.org"}).status_code == 200


def test_a_proxy_on_this_machine_does_not_open_the_server_to_others(api, assert_problem):
    for header in ("X-Forwarded-For", "Forwarded"):
        assert_problem(api.get("/jobs", headers={header: "127.0.0.1"}), 403, "not_local")


def test_requests_of_other_machines_are_refused_wherever_the_server_listens(settings):
    scope = {"type": "http", "client": ("192.168.1.9", 4000), "headers": [(b"host", b"localhost")]}
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(LocalRequestsOnly(create_app(settings))(scope, None, send))
    assert sent[0]["status"] == 403
