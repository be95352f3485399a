"""A browser that is signed in, as other web pages and proxies see it."""

import pytest

from service.app import create_app
from service.auth import middleware
from service.session.cookie import NAME

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def browse(locked, serving, people):
    """Sends requests with the cookie of `owner`, or of nobody once they have signed out."""
    with serving(create_app(locked)) as client:
        answer = sign_in(client, people["owner"])
        assert answer.status_code == 204

        def browse(method, path, *, host=None, **headers):
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.request(method, path, headers=given | ({"Host": host} if host else {}))

        browse.cookie = answer.headers["set-cookie"]
        browse.client = client
        yield browse


def sign_in(client, key, **headers):
    return client.post("/session", headers={"Authorization": f"Bearer {key}", **headers})


def test_a_key_becomes_a_cookie_that_scripts_and_other_sites_have_no_use_of(browse):
    attributes = {part.strip().lower() for part in browse.cookie.split(";")[1:]}
    assert attributes == {"httponly", "samesite=strict", "path=/", f"max-age={30 * 86_400}"}
    assert browse("GET", "/me").json()["name"] == "owner"


def test_signing_out_forgets_it(browse):
    answer = browse("DELETE", "/session", **OWN)
    assert answer.status_code == 204
    assert f'{NAME}=""' in answer.headers["set-cookie"]
    assert browse("GET", "/me").status_code == 401


def test_the_session_ends_with_its_key(browse):
    key = browse("GET", "/me").json()["key"]
    assert browse("DELETE", f"/keys/{key}", **OWN).status_code == 204
    assert browse("GET", "/me").status_code == 401


def test_a_header_comes_before_the_cookie(browse, people):
    key = people["admin"]
    assert browse("GET", "/me", Authorization=f"Bearer {key}").json()["name"] == "admin"
    assert browse("GET", "/me", Authorization="Bearer wrong").status_code == 401
    # Scripts send no cookie by accident: with a header nothing is asked of the origin.
    assert browse("DELETE", "/jobs/x", Authorization=f"Bearer {key}").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://paka.example", "host": "paka.example"},
    ],
)
def test_no_other_page_changes_anything(browse, headers, assert_problem):
    for method, path in (("POST", "/train"), ("DELETE", "/session"), ("PATCH", "/jobs/x")):
        assert_problem(browse(method, path, **headers), 403, "cross_origin")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://paka.example:8000", "host": "paka.example:8000"},
        {"Origin": "https://paka.example", "host": "PAKA.example"},  # TLS ends at a proxy
    ],
)
def test_its_own_page_does(browse, headers):
    assert browse("DELETE", "/jobs/x", **headers).json()["code"] == "job_not_found"


def test_other_pages_may_not_even_look(browse, assert_problem):
    assert_problem(browse("GET", "/jobs", Sec_Fetch_Site="cross-site"), 403, "cross_origin")
    for site in ("same-origin", "same-site", "none"):
        assert browse("GET", "/jobs", Sec_Fetch_Site=site).status_code == 200


def test_over_https_the_cookie_stays_there(locked, serving, people):
    """Uvicorn trusts a proxy on this machine by default; `trusted_proxies` decides in service."""
    with serving(create_app(locked)) as client:
        answer = sign_in(client, people["owner"], **{"X-Forwarded-Proto": "https"})
        assert "secure" in answer.headers["set-cookie"].lower()


def test_a_wrong_key_gives_no_cookie_is_noted_and_limited(
    locked, serving, people, monkeypatch, assert_problem
):
    monkeypatch.setattr(middleware, "FAILURES_A_MINUTE", 2)
    with serving(create_app(locked)) as client:
        for _ in range(2):
            answer = sign_in(client, "paka_" + "0" * 64)
            assert_problem(answer, 401, "unauthorized")
            assert "set-cookie" not in answer.headers
        assert_problem(sign_in(client, "paka_" + "0" * 64), 429, "rate_limited")
        stale = client.get("/me", headers={"Cookie": f"{NAME}=paka_wrong"})
        assert_problem(stale, 429, "rate_limited")
        headers = {"Authorization": f"Bearer {people['admin']}"}
        noted = client.get("/audit", headers=headers, params={"action": "key.refused"}).json()
        assert len(noted["data"]) == 1


def test_a_server_that_asks_for_no_key_needs_no_cookie(api):
    assert api.get("/me").json()["key"] is None
    answer = api.post("/session")
    assert (answer.status_code, "set-cookie" in answer.headers) == (204, False)
