"""Who may use, and learn of, private data sets."""

import pytest

from service.app import create_app
from tests.service.datasets.uploading import send, tar

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def api_as(locked, serving, make_key):
    """A client, and a function that says who it is."""
    roles = {"ann": "member", "bob": "member", "eve": "viewer", "root": "admin"}
    keys = {name: make_key(name, role) for name, role in roles.items()}
    with serving(create_app(locked)) as api:

        def become(name):
            api.headers["Authorization"] = f"Bearer {keys[name]}"

        yield api, become


@sqlite_only
def test_a_private_data_set_is_its_owners_and_the_admins(api_as, entries, assert_problem):
    api, become = api_as
    become("eve")
    assert_problem(send(api, tar(entries)), 403, "forbidden")
    become("ann")
    assert send(api, tar(entries), visibility="private").json()["user"] == "ann"
    assert send(api, tar(entries), "ours").status_code == 201
    become("bob")
    assert_problem(api.get("/datasets/mine"), 404, "dataset_not_found")
    assert_problem(api.delete("/datasets/mine"), 404, "dataset_not_found")
    assert_problem(api.delete("/datasets/ours"), 403, "not_yours")
    assert [item["name"] for item in api.get("/datasets").json()["data"]] == ["ours"]
    for name in ("ann", "root"):
        become(name)
        assert api.get("/datasets/mine").status_code == 200
        assert len(api.get("/datasets").json()["data"]) == 2
    assert api.delete("/datasets/mine").status_code == 204


@sqlite_only
def test_nobody_elses_job_reads_a_private_data_set(api_as, entries, uploads, assert_problem):
    api, become = api_as
    become("ann")
    send(api, tar(entries), visibility="private")
    become("bob")
    for path in ("mine", str(uploads / "mine"), str(uploads / "mine" / "some"), str(uploads)):
        for call in ("train", "evaluate", "embed"):
            body = {"dataset": path} | ({"encoders": ["test_vit@random"]} if call[1] == "v" else {})
            body |= {"encoder": "test_vit@random"} if call == "embed" else {}
            response = api.post(f"/{call}", json=body)
            assert_problem(response, 422, "path_not_found", "dataset")
    weights = {"architecture": "test_vit", "weights": str(uploads / "mine" / "a.safetensors")}
    response = api.post("/train", json={"dataset": "x", "encoder": weights})
    assert_problem(response, 422, "path_not_found", "encoder.weights")
    become("ann")
    assert api.post("/train", json={"preset": "tiny", "dataset": "mine"}).status_code == 202


@sqlite_only
def test_nobody_reads_all_uploads_as_one(api_as, entries, uploads, assert_problem):
    """Until the job runs, somebody may upload a private one."""
    api, become = api_as
    become("ann")
    send(api, tar(entries), "ours")
    for path in (str(uploads), str(uploads.parent)):
        response = api.post("/embed", json={"encoder": "test_vit@random", "dataset": path})
        assert response.json()["code"] in ("path_not_found", "path_outside_roots")
    assert_problem(api.post("/train", json={"dataset": str(uploads)}), 422, "path_not_found")


@sqlite_only
def test_a_resumed_job_reads_no_private_data_set_of_the_same_name(
    api_as, entries, uploads, assert_problem
):
    api, become = api_as
    become("bob")
    send(api, tar(entries), "photos")
    body = {"encoder": "test_vit@random", "dataset": "photos", "visibility": "private"}
    job = f"/jobs/{api.post('/embed', json=body).json()['id']}"
    become("root")
    assert_problem(api.delete("/datasets/photos"), 409, "dataset_in_use")
    become("bob")
    assert api.post(f"{job}/cancel").status_code == 202
    assert api.delete("/datasets/photos").status_code == 204
    become("ann")
    send(api, tar(entries), "photos", visibility="private")
    for name in ("bob", "root"):  # not for an admin, either: the job is still bob's
        become(name)
        assert_problem(api.post(f"{job}/resume"), 409, "inputs_closed")
    become("ann")
    assert api.delete("/datasets/photos").status_code == 204
    send(api, tar(entries), "photos")
    become("bob")
    assert api.post(f"{job}/resume").status_code == 202


@sqlite_only
def test_whoever_removes_a_data_set_learns_no_private_jobs_id(api_as, entries, assert_problem):
    api, become = api_as
    become("ann")
    send(api, tar(entries), "ours")
    become("bob")
    body = {"encoder": "test_vit@random", "dataset": "ours", "visibility": "private"}
    job = api.post("/embed", json=body).json()["id"]
    become("ann")
    assert_problem(api.delete("/datasets/ours"), 409, "dataset_in_use")
    assert job not in api.delete("/datasets/ours").text
    become("root")
    assert job in api.delete("/datasets/ours").text


@sqlite_only
def test_a_job_on_private_images_is_private_unless_its_user_says_otherwise(api_as, entries):
    """Its report shows pictures, and its features the names of all images."""
    api, become = api_as
    become("ann")
    send(api, tar(entries), visibility="private")
    send(api, tar(entries), "ours")
    for name, given, shown in (
        ("mine", {}, "private"),
        ("mine", {"visibility": "lab"}, "lab"),
        ("ours", {}, "lab"),
    ):
        body = {"encoder": "test_vit@random", "dataset": name, **given}
        assert api.post("/embed", json=body).json()["visibility"] == shown
