"""The API while the database is brought to another version under it."""

import time

import pytest

from service.store.migrate import known_revisions, latest_revision
from service.store.versions import mismatch


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


def test_an_api_over_a_newer_database_changes_nothing_until_it_is_its_own_again(
    api, job, snapshot, settings, next_version, assert_problem
):
    before = snapshot()
    next_version.upgrade(settings.database)
    wait_for(lambda: api.get("/jobs").status_code == 503)
    for answer in (
        api.get("/jobs"),
        api.post("/train", json={"preset": "tiny", "dataset": "photos"}),
        api.post(f"/jobs/{job['id']}/cancel"),
        api.get("/nothing"),
    ):
        detail = assert_problem(answer, 503, "database_outdated")
        assert f"revision 9999, and this version is made for {latest_revision()}" in detail
        assert detail.endswith("update this version")
        assert int(answer.headers["retry-after"]) > 0
    assert "revision 9999" in assert_problem(api.get("/ready"), 503, "not_ready", "database")
    for path in ("/health", "/openapi.json", "/docs"):
        assert api.get(path).status_code == 200
    assert snapshot()[0] == before[0]
    next_version.downgrade(settings.database)
    wait_for(lambda: api.get("/jobs").status_code == 200)
    assert api.post(f"/jobs/{job['id']}/cancel").json()["status"] == "cancelled"


def test_what_to_do_depends_on_which_is_older():
    *earlier, latest = known_revisions()
    assert mismatch(latest) is None
    assert "paka-server migrate" in mismatch(None)
    assert "paka-server migrate" in mismatch(earlier[0])
    assert "update this version" in mismatch("next")


@pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
def test_an_api_that_started_before_the_tables_were_made_goes_on_once_they_are(
    empty_database_url, tmp_path, redis_url, redis, serving, assert_problem
):
    from service.app import create_app
    from service.store.migrate import upgrade
    from service.store.settings import Settings

    settings = Settings(
        home=tmp_path,
        database_url=empty_database_url,
        redis_url=redis_url,
        reconcile_seconds=0.1,
    )
    with serving(create_app(settings)) as api:
        assert_problem(api.get("/jobs"), 503, "database_outdated")
        upgrade(empty_database_url)
        wait_for(lambda: api.get("/jobs").status_code == 200)
