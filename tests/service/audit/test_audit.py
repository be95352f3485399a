import pytest

from service.auth import middleware
from service.store.models import AuditEntry

TINY = {"preset": "tiny", "dataset": "photos"}
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def entries(ask, **filters):
    return ask("admin", "GET", "/audit", params=filters).json()["data"]


def test_every_change_of_a_job_is_noted_with_who_and_from_where(ask, folder):
    job = ask("owner", "POST", "/train", json={**TINY, "name": "ours"}).json()["id"]
    url = f"/jobs/{job}"
    ask("owner", "PATCH", url, json={"visibility": "private"})
    ask("owner", "POST", f"{url}/cancel")
    ask("owner", "POST", f"{url}/resume")
    ask("owner", "POST", f"{url}/cancel")
    assert ask("admin", "DELETE", url).status_code == 204
    found = entries(ask, target=job)
    assert [(entry["action"], entry["user"]) for entry in reversed(found)] == [
        ("job.submit", "owner"),
        ("job.change", "owner"),
        ("job.cancel", "owner"),
        ("job.resume", "owner"),
        ("job.cancel", "owner"),
        ("job.delete", "admin"),
    ]
    assert found[0]["data"] == {"owner": "owner", "name": "ours"}
    assert {entry["address"] for entry in found} == {"127.0.0.1"}
    assert all(entry["key"].startswith("key_") for entry in found)


def test_what_was_refused_is_not_noted(ask, folder):
    job = ask("owner", "POST", "/train", json=TINY).json()["id"]
    before = entries(ask)
    ask("other", "DELETE", f"/jobs/{job}")
    ask("owner", "DELETE", f"/jobs/{job}")  # it has not ended
    ask("viewer", "POST", "/train", json=TINY)
    ask("owner", "POST", "/train", json={})
    ask("owner", "PATCH", f"/jobs/{job}", json={})
    assert entries(ask) == before


@sqlite_only
def test_changes_of_users_are_noted_without_their_keys(ask, database):
    user = ask("admin", "POST", "/users", json={"name": "ada"}).json()["id"]
    key = ask("admin", "POST", f"/users/{user}/keys", json={}).json()
    ask("admin", "PATCH", f"/users/{user}", json={"role": "viewer"})
    ask("admin", "DELETE", f"/keys/{key['id']}")
    ask("admin", "DELETE", f"/users/{user}")
    found = ask("admin", "GET", "/audit")
    assert key["key"] not in found.text
    assert [entry["action"] for entry in reversed(found.json()["data"])] == [
        "user.add",
        "key.add",
        "user.change",
        "key.revoke",
        "user.revoke",
    ]


@sqlite_only
def test_the_log_comes_in_pages_and_by_filter(ask, folder):
    for _ in range(3):
        ask("owner", "POST", "/train", json=TINY)
    ask("admin", "POST", "/users", json={"name": "ada"})
    first = ask("admin", "GET", "/audit", params={"limit": 3}).json()
    rest = ask("admin", "GET", "/audit", params={"limit": 3, "after": first["next"]}).json()
    assert (len(first["data"]), len(rest["data"]), rest["has_more"]) == (3, 1, False)
    assert len(entries(ask, action="job")) == len(entries(ask, action="job.submit")) == 3
    assert entries(ask, action="jo") == entries(ask, action="%") == []
    assert len(entries(ask, user="admin", days=1)) == 1


@sqlite_only
def test_a_bad_filter_is_named(ask, assert_problem):
    for field in ("user", "action", "target", "days", "after"):
        response = ask("admin", "GET", "/audit", params={field: "\x00"})
        assert_problem(response, 422, "invalid_request", field)


@sqlite_only
def test_refused_keys_are_noted_but_cannot_flood_the_log(ask, people, database, monkeypatch):
    monkeypatch.setattr(middleware, "FAILURES_A_MINUTE", 1000)
    people["thief"] = "paka_stolen"
    for _ in range(20):
        assert ask("thief", "GET", "/jobs").status_code == 401
    assert ask(None, "GET", "/jobs").status_code == 401
    (entry,) = entries(ask, action="key.refused")
    assert (entry["user"], entry["address"]) == (None, "127.0.0.1")
    with database.read() as session:
        assert "stolen" not in str([vars(row) for row in session.query(AuditEntry)])
