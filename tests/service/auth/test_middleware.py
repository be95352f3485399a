import json

import pytest

from service.app import create_app
from service.auth import middleware
from service.store.contract import CONTRACT_VERSION, worker_key

PEOPLE = ("viewer", "other", "owner", "admin")

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def many_failures(monkeypatch):
    monkeypatch.setattr(middleware, "FAILURES_A_MINUTE", 1_000_000)


def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(ask, people, make_key, assert_problem):
    people |= {"expired": make_key("late", expires_in=-1), "wrong": "paka_" + "0" * 64}
    people |= {
        "malformed": "nonsense",
        "long": "a" * 10_000,
        "cut": people["owner"][:-1],
    }
    answers = [ask(who, "GET", "/jobs") for who in (None, *set(people) - set(PEOPLE))]
    for answer in answers:
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    answers_alike = [answer.json() | {"request_id": "its own"} for answer in answers]
    assert all(answer == answers_alike[0] for answer in answers_alike)


def test_only_the_bearer_scheme_is_taken(ask, people):
    def status(scheme):
        headers = {"Authorization": f"{scheme}{people['owner']}"}
        return ask(None, "GET", "/me", headers=headers).status_code

    assert {status(scheme) for scheme in ("Basic ", "", "Token ", "Bearer: ")} == {401}
    assert {status(scheme) for scheme in ("Bearer ", "bearer ")} == {200}


def test_a_key_is_taken_from_the_header_only(ask, people):
    for name in ("key", "api_key", "access_token", "token"):
        assert ask(None, "GET", "/me", params={name: people["owner"]}).status_code == 401
        assert ask(None, "GET", "/me", headers={"Cookie": f"{name}={people['owner']}"}).is_error


def test_without_a_key_nobody_learns_which_paths_there_are(ask):
    for method, path in (
        ("GET", "/nothing"),
        ("PUT", "/jobs"),
        ("GET", "/jobs/"),
        ("GET", "/docs//"),
    ):
        assert ask(None, method, path).status_code == 401, path


def test_health_and_documentation_are_open(ask):
    for path in ("/health", "/docs", "/openapi.json", "/docs/files/swagger-ui.css"):
        assert ask(None, "GET", path).status_code == 200, path


def test_whoever_has_no_key_is_not_told_who_works_where(ask, redis):
    for kind in ("jobs", "embed"):
        about = {"name": kind, "kind": kind, "host": "gpu7", "pid": 1, "version": "1"}
        about |= {"device": "cuda", "started_at": "2026-11-23T10:00:00Z"}
        redis.set(worker_key(kind, kind), json.dumps({**about, "contract": CONTRACT_VERSION}))
    answer = ask(None, "GET", "/ready")
    assert (answer.status_code, answer.json()["workers"]) == (200, [])
    assert "gpu7" not in answer.text


def test_a_body_is_not_read_before_the_key(ask):
    large = b"[" * 10_000_000
    headers = {"Content-Type": "application/json"}
    assert ask(None, "POST", "/train", content=large, headers=headers).status_code == 401


def test_requests_are_limited_by_key(locked, serving, people, assert_problem):
    app = create_app(locked.model_copy(update={"rate_limit": 3, "embed_rate_limit": 2}))
    headers = {who: {"Authorization": f"Bearer {key}"} for who, key in people.items()}
    with serving(app) as api:
        for _ in range(3):
            assert api.get("/me", headers=headers["owner"]).status_code == 200
        refused = api.get("/me", headers=headers["owner"])
        assert_problem(refused, 429, "rate_limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit-policy"] == '"key";q=3;w=60'
        assert refused.headers["ratelimit"].startswith('"key";r=0;t=')
        assert api.get("/me", headers=headers["other"]).status_code == 200
        for status in (415, 415, 429):  # embedding is counted apart
            assert api.post("/embed", headers=headers["owner"]).status_code == status
        assert {api.get("/health").status_code for _ in range(5)} == {200}


def test_the_processes_of_a_server_count_together(locked, serving, people):
    settings = locked.model_copy(update={"rate_limit": 2})
    headers = {"Authorization": f"Bearer {people['owner']}"}
    with serving(create_app(settings)) as one, serving(create_app(settings)) as two:
        statuses = [api.get("/me", headers=headers).status_code for api in (one, two, one)]
    assert statuses == [200, 200, 429]


def test_refused_keys_are_limited_by_address_and_good_keys_are_not(ask, people, monkeypatch):
    monkeypatch.setattr(middleware, "FAILURES_A_MINUTE", 3)
    people["wrong"] = "paka_" + "0" * 64
    assert [ask("wrong", "GET", "/me").status_code for _ in range(5)] == [401, 401, 401, 429, 429]
    assert ask("owner", "GET", "/me").status_code == 200


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("unknown", "unknown"),
    ],
)
def test_of_an_address_counts_what_its_user_cannot_choose(address, network, database_url):
    assert middleware._network(address) == network
