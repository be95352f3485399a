"""Every route, asked by everybody: who gets in, who is told of what."""

import pytest
from fastapi.routing import APIRoute

from service.app import create_app
from service.auth import middleware
from service.auth.deps import ROLE_CHECKS
from service.store.settings import Settings

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PAGES = {"/", "/docs"}  # for people; the document is silent about them
OPEN = {"/health", "/ready", *PAGES}
STRANGERS = ("nobody", "wrong", "expired", "revoked")
RANK = {"viewer": 0, "other": 1, "owner": 1, "admin": 2}
NEEDED = {"viewer": 0, "member": 1, "admin": 2}


def api_routes(router):
    """All routes with an endpoint, in routers within routers too."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif inner := getattr(route, "original_router", None):
            yield from api_routes(inner)


def roles(dependant):
    """The roles that a route asks for, itself or in what it depends on."""
    calls = {dependency.call for dependency in dependant.dependencies}
    found = {role for role, check in ROLE_CHECKS.items() if check in calls}
    return found.union(*(roles(dependency) for dependency in dependant.dependencies))


def routes():
    """(method, path, role) of all routes; the role is the highest that is asked for, or None."""
    for route in api_routes(create_app(Settings())):
        role = max(roles(route.dependant), key=NEEDED.get, default=None)
        yield from ((method, route.path, role) for method in sorted(route.methods))


def test_every_route_but_the_open_ones_asks_for_a_role(database_url):
    assert {path for _, path, role in routes() if role is None} == OPEN


def test_no_route_is_overlooked(database_url):
    paths = create_app(Settings()).openapi()["paths"]
    known = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    pages = {("GET", path) for path in PAGES}
    assert known == {(method, path) for method, path, _ in routes()} - pages


def test_the_document_tells_which_operations_need_a_key(database_url):
    document = create_app(Settings(auth="on")).openapi()
    for method, path, role in routes():
        if path in PAGES:
            continue
        operation = document["paths"][path][method.lower()]
        assert ("security" in operation) is (role is not None), path
        assert ({"401", "403", "429"} <= operation["responses"].keys()) is (role is not None), path


def test_the_document_of_an_open_server_asks_for_no_key(database_url):
    document = create_app(Settings()).openapi()
    assert not any(
        "security" in each for path in document["paths"].values() for each in path.values()
    )


def outcome(response):
    """What became of a request: the door, or somewhere behind it."""
    if response.status_code in (401, 403):
        return response.json()["code"]
    if response.status_code == 404 and response.json()["code"] in HIDDEN:
        return "hidden"
    assert response.status_code < 500, response.text
    return "in"


HIDDEN = ("job_not_found", "encoder_not_found")


def expected(who, method, path, role, visibility):
    """The rules in short."""
    if who in STRANGERS:
        return "unauthorized"
    if RANK[who] < NEEDED[role]:
        return "forbidden"
    is_thing = "{job_id}" in path or "{encoder_id}" in path
    if is_thing and visibility == "private" and who in ("viewer", "other"):
        return "hidden"
    if "{job_id}" in path and method != "GET" and who == "other":
        return "not_yours"
    return "in"


@pytest.mark.parametrize("visibility", ["lab", "private"])
def test_every_route_lets_in_whom_it_should(
    visibility, locked, serving, people, make_key, add_job, database, monkeypatch
):
    from service.store import users

    monkeypatch.setattr(middleware, "FAILURES_A_MINUTE", 1_000_000)
    keys = {**people, "nobody": None, "wrong": "paka_" + "0" * 64}
    keys |= {"expired": make_key("late", expires_in=-1), "revoked": make_key("gone")}
    with database.write() as session:
        users.revoke_user(session, users.user_by_name(session, "gone"))
    number = 0
    with serving(create_app(locked)) as api:
        for method, path, role in routes():
            if role is None:
                continue
            job = encoder = None
            for who, key in keys.items():
                if job is None or method != "GET":
                    number += 1
                    job, encoder = add_job(visibility, number)
                url = path.replace("{job_id}", job).replace("{encoder_id}", encoder)
                url = url.replace("{step}", "0").replace("{file}", "index.json")
                headers = {"Authorization": f"Bearer {key}"} if key else {}
                if method in ("POST", "PATCH"):
                    headers["Content-Type"] = "application/json"
                content = "{}" if method == "PATCH" else None
                api.cookies.clear()  # of whoever signed in before
                with api.stream(method, url, headers=headers, content=content) as response:
                    if not response.headers.get("content-type", "").startswith("text/event-stream"):
                        response.read()
                    found = outcome(response)
                assert found == expected(who, method, path, role, visibility), (who, method, path)
