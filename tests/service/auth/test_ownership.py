"""What of others' things somebody sees, uses and changes."""

import shutil
import time

import pytest

from service.app import create_app
from service.jobs import events
from service.store import jobs, users

TINY = {"preset": "tiny", "dataset": "photos"}


@pytest.fixture
def private(add_job):
    """Ids of a private job of `owner` and of its encoder."""
    return add_job("private", 1)


@pytest.fixture
def shared(add_job):
    """Ids of a job of `owner` that is the lab's, and of its encoder."""
    return add_job("lab", 2)


def ids(answer):
    return [each["id"] for each in answer.json()["data"]]


def wait_for_streams(count):
    """Return when so many streams are open."""
    deadline = time.monotonic() + 30
    while events._open.total() != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_lists_show_the_labs_and_ones_own(ask, private, shared):
    for who, shown in [("owner", [1, 0]), ("admin", [1, 0]), ("other", [1]), ("viewer", [1])]:
        both = (private, shared)
        assert ids(ask(who, "GET", "/jobs")) == [both[index][0] for index in shown]
        assert ids(ask(who, "GET", "/encoders")) == [both[index][1] for index in shown]


def test_jobs_and_encoders_name_their_owner(ask, private, shared):
    for job, encoder, visibility in ((*private, "private"), (*shared, "lab")):
        for path in (f"/jobs/{job}", f"/encoders/{encoder}"):
            shown = ask("owner", "GET", path).json()
            assert (shown["user"], shown["visibility"]) == ("owner", visibility)


def test_jobs_are_filtered_by_their_owner(ask, private, shared, folder):
    made = ask("other", "POST", "/train", json=TINY).json()["id"]
    assert ids(ask("admin", "GET", "/jobs", params={"user": "other"})) == [made]
    assert ids(ask("viewer", "GET", "/jobs", params={"user": "owner"})) == [shared[0]]
    assert ids(ask("admin", "GET", "/jobs", params={"user": "nobody"})) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_private_encoder_is_of_no_use_to_others(
    ask, private, shared, folder, labelled, settings, assert_problem
):
    unknown = "enc_" + "9" * 26
    bodies = {
        "/train": lambda encoder: {**TINY, "encoder": encoder},
        "/evaluate": lambda encoder: {"encoders": [encoder], "dataset": "labelled"},
        "/embed": lambda encoder: {"encoder": encoder, "dataset": "photos"},
    }
    for path, body in bodies.items():
        details = [
            ask("other", "POST", path, json=body(encoder)).json()["detail"].replace(encoder, "ID")
            for encoder in (private[1], unknown)
        ]
        assert details[0] == details[1]
        assert "there is no encoder" in details[0]
        # Its owner, and others with the lab's, get as far as its weights, which are not there.
        for who, encoder in (("owner", private[1]), ("admin", private[1]), ("other", shared[1])):
            answer = ask(who, "POST", path, json=body(encoder))
            assert answer.json()["code"] == "encoder_unavailable", (path, who)
    image = {"encoder": private[1], "images": ["aGk="]}
    assert ask("other", "POST", "/embed", json=image).json()["code"] == "encoder_not_found"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_jobs_made_is_no_data_of_others(locked, serving, people, photos, tmp_path):
    """Somebody may have put the folder of artifacts into a data root."""
    artifacts = tmp_path / "data" / "artifacts"
    made = artifacts / "jobs" / "job_x"
    shutil.copytree(photos, made / "features")
    (made / "encoder.safetensors").write_bytes(b"weights")
    settings = locked.model_copy(update={"artifacts": artifacts})
    with serving(create_app(settings)) as api:

        def codes(who):
            headers = {"Authorization": f"Bearer {people[who]}"}
            bodies = (
                {"preset": "tiny", "dataset": f"{made}/features"},
                {"preset": "tiny", "dataset": "."},
                {**TINY, "dataset": ".", "encoder": f"test_vit@{made}/encoder.safetensors"},
            )
            return [api.post("/train", json=body, headers=headers).status_code for body in bodies]

        assert codes("owner") == [422, 422, 422]
        assert codes("admin") == [202, 202, 202]


def test_a_job_is_private_from_the_start_if_its_request_says_so(ask, folder):
    made = ask("owner", "POST", "/train", json={**TINY, "visibility": "private"}).json()
    assert (made["user"], made["visibility"]) == ("owner", "private")
    assert "visibility" not in made["config"]
    assert ask("other", "GET", f"/jobs/{made['id']}").status_code == 404


def test_only_the_owner_and_admins_change_a_job(ask, private, shared, assert_problem):
    url = f"/jobs/{shared[0]}"
    for method, path in (("PATCH", ""), ("POST", "/cancel"), ("POST", "/resume"), ("DELETE", "")):
        options = {"json": {}} if method == "PATCH" else {}
        assert_problem(ask("other", method, url + path, **options), 403, "not_yours")
        assert_problem(ask("viewer", method, url + path, **options), 403, "forbidden")
        hidden = ask("other", method, f"/jobs/{private[0]}{path}", **options)
        assert_problem(hidden, 404, "job_not_found")
    change = {"name": "ours", "visibility": "private", "pinned": True}
    changed = ask("owner", "PATCH", url, json=change).json()
    assert change.items() <= changed.items()
    assert ask("other", "GET", url).status_code == 404
    assert ask("other", "GET", f"/encoders/{shared[1]}").status_code == 404
    assert ask("owner", "GET", f"/encoders/{shared[1]}").json()["name"] == "ours"
    back = ask("admin", "PATCH", url, json={"visibility": "lab"}).json()
    assert (back["visibility"], back["name"], back["pinned"]) == ("lab", "ours", True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_bad_change_is_refused(ask, shared, assert_problem):
    for body in ({"visibility": "public"}, {"user": "ada"}, {"name": ""}, {"pinned": "x"}, []):
        response = ask("owner", "PATCH", f"/jobs/{shared[0]}", json=body)
        assert_problem(response, 422, "invalid_request")


def test_an_idempotency_key_is_ones_own(ask, folder):
    key = {"Idempotency-Key": "once"}
    made = [
        ask(who, "POST", "/train", json=TINY, headers=dict(key)).json()["id"]
        for who in ("owner", "other", "owner")
    ]
    assert made[0] == made[2] != made[1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_stream_ends_when_its_key_is_revoked_or_the_job_made_private(ask, shared, database):
    """Both streams would stay open for ever: the job waits, and nobody takes it."""
    from concurrent.futures import ThreadPoolExecutor

    url = f"/jobs/{shared[0]}/events"
    with ThreadPoolExecutor(2) as pool:
        open_streams = [pool.submit(ask, who, "GET", url) for who in ("other", "owner")]
        wait_for_streams(2)
        assert not any(stream.done() for stream in open_streams)
        with database.write() as session:
            jobs.change(session, shared[0], {"visibility": "private"})
        assert open_streams[0].result(timeout=10).status_code == 200
        assert not open_streams[1].done()
        me = ask("owner", "GET", "/me").json()
        ask("owner", "DELETE", f"/keys/{me['key']}")
        assert open_streams[1].result(timeout=10).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_admins_stream_ends_when_they_are_none_any_more(ask, private, database):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(ask, "admin", "GET", f"/jobs/{private[0]}/events")
        wait_for_streams(1)
        assert not stream.done()
        with database.write() as session:
            users.user_by_name(session, "admin").role = "member"
        assert stream.result(timeout=10).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_user_has_only_so_many_streams(ask, shared, database, monkeypatch, assert_problem):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(events, "MAX_STREAMS", 1)
    url = f"/jobs/{shared[0]}/events"
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(ask, "owner", "GET", url)
        wait_for_streams(1)
        assert_problem(ask("owner", "GET", url), 429, "too_many_streams")
        with database.write() as session:
            jobs.cancel(session, shared[0])
        assert stream.result(timeout=10).status_code == 200
    assert ask("other", "GET", url).status_code == 200
    assert ask("owner", "GET", url).status_code == 200
