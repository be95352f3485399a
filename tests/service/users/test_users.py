from concurrent.futures import ThreadPoolExecutor

import pytest

UNKNOWN = {"user": "usr_" + "0" * 26, "key": "key_" + "0" * 26}
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def user_id(ask, name):
    return next(u["id"] for u in ask("admin", "GET", "/users").json()["data"] if u["name"] == name)


def test_a_new_user_gets_in_by_a_key_that_is_shown_once(ask, people):
    made = ask("admin", "POST", "/users", json={"name": "ada", "role": "viewer"})
    assert made.status_code == 201
    url = f"/users/{made.json()['id']}/keys"
    key = ask("admin", "POST", url, json={"days": 30})
    assert (key.status_code, key.headers["cache-control"]) == (201, "no-store")
    people["ada"] = key.json()["key"]
    me = ask("ada", "GET", "/me").json()
    assert me == {
        "id": made.json()["id"],
        "name": "ada",
        "role": "viewer",
        "key": key.json()["id"],
    }
    listed = ask("admin", "GET", url)
    assert [shown["id"] for shown in listed.json()["data"]] == [key.json()["id"]]
    assert people["ada"] not in listed.text
    assert listed.json()["data"][0]["last_used_at"] is not None


@sqlite_only
def test_a_bad_user_is_refused(ask, assert_problem):
    names = ("", "Ada", "a b", "a\x00", "ada\n", "a" * 101, None)
    bodies = [{}, *({"name": name} for name in names)]
    bodies += [{"name": "ada", "role": "root"}, {"name": "ada", "admin": True}]
    for body in bodies:
        assert_problem(ask("admin", "POST", "/users", json=body), 422, "invalid_request")
    assert len(ask("admin", "GET", "/users").json()["data"]) == 5


def test_a_name_is_taken_once(ask, assert_problem):
    assert_problem(ask("admin", "POST", "/users", json={"name": "owner"}), 409, "user_exists")

    def add(_):
        return ask("admin", "POST", "/users", json={"name": "ada"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(4))) == [201, 409, 409, 409]


def test_a_revoked_user_is_out_at_once_and_may_come_back_with_a_new_key(ask, people):
    url = f"/users/{user_id(ask, 'other')}"
    assert ask("other", "GET", "/me").status_code == 200
    assert ask("admin", "DELETE", url).status_code == 204
    assert ask("other", "GET", "/me").status_code == 401
    assert ask("admin", "DELETE", url).json()["code"] == "user_revoked"
    assert ask("admin", "POST", f"{url}/keys", json={}).json()["code"] == "user_revoked"
    assert ask("admin", "PATCH", url, json={"role": "admin"}).json()["code"] == "user_revoked"
    again = ask("admin", "POST", "/users", json={"name": "other", "role": "viewer"}).json()
    assert (url, again["revoked_at"]) == (f"/users/{again['id']}", None)
    assert ask("other", "GET", "/me").status_code == 401  # the old key stays dead
    people["other"] = ask("admin", "POST", f"{url}/keys", json={}).json()["key"]
    assert ask("other", "GET", "/me").json()["role"] == "viewer"


def test_a_role_acts_at_once(ask):
    assert ask("viewer", "GET", "/users").status_code == 403
    url = f"/users/{user_id(ask, 'viewer')}"
    assert ask("admin", "PATCH", url, json={"role": "admin"}).json()["role"] == "admin"
    assert ask("viewer", "GET", "/users").status_code == 200


def test_the_last_admin_stays(ask, assert_problem):
    admin = f"/users/{user_id(ask, 'admin')}"
    assert_problem(ask("admin", "DELETE", admin), 409, "last_admin")
    assert_problem(ask("admin", "PATCH", admin, json={"role": "viewer"}), 409, "last_admin")
    assert ask("admin", "PATCH", admin, json={"role": "admin"}).status_code == 200
    other = f"/users/{user_id(ask, 'other')}"
    ask("admin", "PATCH", other, json={"role": "admin"})
    with ThreadPoolExecutor(2) as pool:  # each is the last as soon as the other is gone
        gone = pool.map(lambda who: ask("admin", "DELETE", who).status_code, [admin, other])
    assert sorted(gone) in ([204, 401], [204, 409])


@sqlite_only
def test_the_user_of_a_server_without_keys_never_changes(ask, assert_problem):
    url = "/users/usr_local"
    assert_problem(ask("admin", "DELETE", url), 409, "local_user")
    assert_problem(ask("admin", "PATCH", url, json={"role": "viewer"}), 409, "local_user")
    assert_problem(ask("admin", "POST", f"{url}/keys", json={}), 409, "local_user")


def test_members_make_and_revoke_keys_of_their_own(ask, people, assert_problem):
    made = ask("owner", "POST", "/me/keys", json={}).json()
    people["second"] = made["key"]
    assert ask("second", "GET", "/me").json()["name"] == "owner"
    url = f"/keys/{made['id']}"
    assert_problem(ask("other", "DELETE", url), 404, "key_not_found")
    assert ask("owner", "DELETE", url).status_code == 204
    assert ask("second", "GET", "/me").status_code == 401
    assert len(ask("owner", "GET", "/me/keys").json()["data"]) == 2
    assert ask("admin", "DELETE", url).status_code == 204


@sqlite_only
def test_what_is_not_there_is_not_found(ask, assert_problem):
    for user in (UNKNOWN["user"], "x", "%00"):
        assert_problem(ask("admin", "DELETE", f"/users/{user}"), 404, "user_not_found")
        assert_problem(ask("admin", "GET", f"/users/{user}/keys"), 404, "user_not_found")
    for key in (UNKNOWN["key"], "x", "%00"):
        assert_problem(ask("admin", "DELETE", f"/keys/{key}"), 404, "key_not_found")


@sqlite_only
def test_the_days_of_a_key_have_bounds(ask, assert_problem):
    for days in (0, -1, 3651, "x"):
        response = ask("owner", "POST", "/me/keys", json={"days": days})
        assert_problem(response, 422, "invalid_request", "days")


@sqlite_only
def test_there_is_a_most_of_keys(ask, monkeypatch, assert_problem):
    from service.store import users

    monkeypatch.setattr(users, "MAX_KEYS", 2)
    assert ask("owner", "POST", "/me/keys", json={}).status_code == 201
    assert_problem(ask("owner", "POST", "/me/keys", json={}), 409, "too_many_keys")


@sqlite_only
def test_whoever_asks_an_open_server_is_its_admin(api):
    assert api.get("/me").json() == {
        "id": "usr_local",
        "name": "local",
        "role": "admin",
        "key": None,
    }
    assert api.post("/users", json={"name": "ada"}).status_code == 201
