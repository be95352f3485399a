import json

import pytest

from service.app import create_app
from service.store.contract import CONTRACT_VERSION, worker_key
from service.store.settings import Settings

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def announce(redis, kind, **values):
    about = {
        "name": f"{kind}@here",
        "kind": kind,
        "host": "here",
        "pid": 1,
        "version": "0.1.0",
        "device": "cpu",
        "started_at": "2026-11-23T10:00:00+00:00",
        "contract": CONTRACT_VERSION,
        "problem": None,
        **values,
    }
    redis.set(worker_key(kind, about["name"]), json.dumps(about))


def test_ready_when_database_redis_and_both_kinds_of_worker_are_there(api, redis, assert_problem):
    response = api.get("/ready")
    for kind in ("jobs", "embed"):
        assert_problem(response, 503, "not_ready", f"workers.{kind}")
    assert int(response.headers["retry-after"]) > 0
    announce(redis, "jobs")
    detail = assert_problem(api.get("/ready"), 503, "not_ready", "workers.embed")
    assert "workers.jobs" not in detail
    announce(redis, "embed")
    response = api.get("/ready")
    assert response.status_code == 200
    assert [worker["kind"] for worker in response.json()["workers"]] == ["embed", "jobs"]


def test_not_ready_without_tables(empty_database_url, tmp_path, redis_url, serving, assert_problem):
    settings = Settings(home=tmp_path, database_url=empty_database_url, redis_url=redis_url)
    with serving(create_app(settings)) as api:
        detail = assert_problem(api.get("/ready"), 503, "not_ready", "database")
        assert "paka-server migrate" in detail
        assert api.get("/health").status_code == 200


def test_alive_but_not_ready_when_nothing_is_there(tmp_path, serving, assert_problem):
    (tmp_path / "file").touch()
    settings = Settings(home=tmp_path / "file" / "below")
    with serving(create_app(settings)) as api:
        response = api.get("/ready")
        assert_problem(response, 503, "not_ready", "database")
        assert_problem(response, 503, "not_ready", "redis")
        assert api.get("/health").json()["status"] == "alive"


@sqlite_only
@pytest.mark.parametrize(
    ("kind", "about"),
    [
        ("embed", {"contract": CONTRACT_VERSION + 1}),
        ("embed", {"contract": CONTRACT_VERSION - 1}),
        ("jobs", {"contract": CONTRACT_VERSION - 1}),
        ("jobs", {"problem": "the database is at revision 0009"}),
    ],
)
def test_an_outdated_worker_does_not_count_and_is_named(api, redis, assert_problem, kind, about):
    announce(redis, "jobs")
    announce(redis, "embed")
    assert api.get("/ready").status_code == 200
    announce(redis, kind, **about)
    detail = assert_problem(api.get("/ready"), 503, "not_ready", f"workers.{kind}")
    assert f"{kind}@here takes no work: " in detail


@sqlite_only
def test_a_newer_worker_takes_the_jobs_of_an_older_api(api, redis):
    announce(redis, "embed")
    announce(redis, "jobs", contract=CONTRACT_VERSION + 1)
    assert api.get("/ready").status_code == 200


@pytest.mark.parametrize("auth", ["off", "on"])
def test_without_a_database_a_client_is_asked_to_try_again(auth, tmp_path, serving, assert_problem):
    url = "postgresql://paka:word@127.0.0.1:1/paka"
    settings = Settings(home=tmp_path, database_url=url, redis_url="redis://127.0.0.1:1", auth=auth)
    with serving(create_app(settings)) as api:
        response = api.get("/jobs", headers={"Authorization": "Bearer paka_0"})
    assert_problem(response, 503, "database_unavailable")
    assert int(response.headers["retry-after"]) > 0
