"""Ids and log lines of requests."""

import json
import logging
import time

import pytest

from service.app import create_app

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TINY = {"preset": "tiny", "dataset": "photos"}


@pytest.fixture
def lines(caplog):
    """The lines of requests so far, once there are so many: an answer may be there before."""
    caplog.set_level(logging.INFO, logger="service.access")

    def wait(count):
        until = time.monotonic() + 10
        while True:
            found = [record for record in caplog.records if record.name == "service.access"]
            if len(found) >= count:
                return [(record.getMessage(), record.fields) for record in found]
            assert time.monotonic() < until, found
            time.sleep(0.005)

    return wait


def test_a_request_keeps_the_id_that_it_came_with(api):
    assert api.get("/health", headers={"X-Request-ID": "A-1.b_2"}).headers["x-request-id"] == (
        "A-1.b_2"
    )


@pytest.mark.parametrize("given", ["", "a b", "a" * 65, "<script>", '"}', "caf\u00e9"])
def test_an_id_that_could_do_harm_is_replaced(api, given):
    answer = api.get("/health", headers={"X-Request-ID": given.encode()})
    assert answer.headers["x-request-id"].startswith("req_")


def test_every_answer_has_an_id_and_no_two_the_same(api):
    answers = [api.get("/health"), api.get("/nothing"), api.get("/jobs"), api.delete("/train")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4
    for answer in answers:
        if answer.status_code >= 400:
            assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_refusals_at_the_door_and_unexpected_errors_have_one_too(locked, serving, lines):
    app = create_app(locked.model_copy(update={"auth": "auto"}))

    @app.get("/bug")
    def bug():
        raise RuntimeError("the secret")

    with serving(app) as api:
        refused = api.get("/jobs", headers={"Host": "lab.example"})
        broken = api.get("/bug")
    for answer, status in ((refused, 421), (broken, 500)):
        assert answer.status_code == status
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    found = [(fields["status"], fields["problem"]) for _, fields in lines(2)]
    assert found == [(421, "wrong_host"), (500, "internal")]


def test_a_line_says_who_asked_for_what_and_what_came_of_it(ask, lines):
    ask("viewer", "GET", "/jobs/job_1?secret=1")
    ask(None, "GET", "/jobs")
    (first, fields), (_, refused) = lines(2)
    assert first.startswith("GET /jobs/job_1 404 in ")
    assert first.endswith(" s for viewer")
    assert 0 < fields.pop("seconds") < 10
    assert fields == {
        "method": "GET", "path": "/jobs/job_1", "route": "/jobs/{job_id}", "status": 404,
        "user": "viewer", "problem": "job_not_found",
    }  # fmt: skip
    assert (refused["status"], refused["problem"]) == (401, "unauthorized")
    assert "user" not in refused


def test_nobody_can_write_a_line_of_their_own(api, lines):
    api.get("/jobs/a%0aINFO%20forged")
    [(line, _)] = lines(1)
    assert "\n" not in line
    assert "/jobs/a%0aINFO%20forged" in line


def test_polls_that_go_well_are_passed_over(api, lines):
    for path in ("/health", "/metrics", "/ready", "/jobs"):
        api.get(path)
    assert [fields["path"] for _, fields in lines(2)] == ["/ready", "/jobs"]  # one is not ready


def test_a_jobs_first_event_names_the_request_that_made_it(api, folder, database):
    from service.store import queries

    answer = api.post("/train", json=TINY, headers={"X-Request-ID": "mine"})
    with api.stream("GET", f"/jobs/{answer.json()['id']}/events") as stream:
        text = next(line for line in stream.iter_lines() if line.startswith("data: "))
    assert json.loads(text.removeprefix("data: "))["data"] == {"request_id": "mine"}
    with database.read() as session:
        assert queries.source_of(session, answer.json()["id"]) == {"request_id": "mine"}
        assert queries.source_of(session, "job_none") == {}


def test_an_embedding_worker_is_told_which_request_it_works_for(api, embed_worker, photos):
    files = [("images", (photos / "astronaut.jpg").read_bytes())]
    data = {"encoder": "test_vit@random", "size": "32"}
    api.post("/embed", files=files, data=data, headers={"X-Request-ID": "mine"})
    assert embed_worker.requests[0].source == {"request_id": "mine"}
