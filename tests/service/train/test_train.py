from concurrent.futures import ThreadPoolExecutor

import pytest

from service.app import create_app
from service.store.broker import waiting_job_ids
from service.store.models import Encoder
from service.store.settings import Settings

TINY = {"preset": "tiny", "dataset": "photos"}
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BAD_FIELDS = [
    ({"dataset": None}, "invalid_request", "dataset"),
    ({"dataset": ""}, "invalid_request", "dataset"),
    ({"dataset": "/etc"}, "path_outside_roots", "dataset"),
    ({"dataset": "/no/such/folder"}, "path_outside_roots", "dataset"),
    ({"dataset": "../data2"}, "path_outside_roots", "dataset"),
    ({"dataset": "photos/../../.."}, "path_outside_roots", "dataset"),
    ({"dataset": "link"}, "path_outside_roots", "dataset"),
    ({"dataset": "loop"}, "path_not_found", "dataset"),
    ({"dataset": "a\x00b"}, "path_not_found", "dataset"),
    ({"dataset": "a" * 300}, "path_not_found", "dataset"),
    ({"dataset": "missing"}, "path_not_found", "dataset"),
    ({"dataset": "empty"}, "dataset_unreadable", "dataset"),
    ({"dataset": "photos/astronaut.jpg"}, "dataset_unreadable", "dataset"),
    ({"preset": "huge"}, "invalid_request", "preset"),
    ({"name": ""}, "invalid_request", "name"),
    ({"name": "a\x00b"}, "invalid_request", "name"),
    ({"learning_rate": 1}, "invalid_request", "learning_rate"),
    ({"optim": {"lr": 1}}, "invalid_request", "optim.lr"),
    ({"optim": {"batch_size": 0}}, "invalid_request", "optim.batch_size"),
    ({"optim": {"batch_size": 7, "accumulate": 2}}, "invalid_request", "optim.batch_size"),
    ({"views": {"global_size": 100}}, "invalid_request", "views.global_size"),
    ({"views": {"local_scale": [0.3, 0.2]}}, "invalid_request", "views.local_scale"),
    ({"encoder": "vit_tiny_patch17"}, "invalid_request", "encoder.architecture"),
    ({"encoder": {"architecture": "test_vit", "size": 3}}, "invalid_request", "encoder.size"),
    ({"encoder": "test_vit@/etc/passwd"}, "path_outside_roots", "encoder.weights"),
    ({"encoder": "test_vit@missing.pth"}, "path_not_found", "encoder.weights"),
    ({"encoder": "test_vit@photos/astronaut.jpg"}, "weights_unreadable", "encoder.weights"),
    ({"encoder": "enc_short"}, "invalid_request", "encoder"),
    ({"encoder": "enc_" + "0" * 26}, "encoder_not_found", "encoder"),
    ({"encoder": {"id": "enc_" + "0" * 26, "weights": "random"}}, "invalid_request", "encoder"),
    ({"evaluate": {}}, "invalid_request", "evaluate.dataset"),
    ({"evaluate": {"dataset": "/etc"}}, "path_outside_roots", "evaluate.dataset"),
    ({"evaluate": {"dataset": "missing"}}, "path_not_found", "evaluate.dataset"),
    ({"evaluate": {"dataset": "photos"}}, "dataset_unreadable", "evaluate.dataset"),
    ({"evaluate": {"dataset": "photos", "size": 100}}, "invalid_request", "evaluate.size"),
    ({"evaluate": {"dataset": "photos", "encoders": []}}, "invalid_request", "evaluate.encoders"),
]
BAD_BODIES = [
    (b"{", "application/json", 400, "invalid_json"),
    (b'"\xff"', "application/json", 400, "bad_request"),
    (b'{"dataset": "\\ud800"}', "application/json", 422, "invalid_request"),
    (b'{"dataset": "photos", "name": "\\ud800"}', "application/json", 422, "invalid_request"),
    (b"[" * 100_000, "application/json", 400, "bad_request"),
    (b"[]", "application/json", 422, "invalid_request"),
    (
        b'{"dataset": "photos", "optim": {"epochs": NaN}}',
        "application/json",
        422,
        "invalid_request",
    ),
    (b"", "application/json", 422, "invalid_request"),
    (b"{}", "text/plain", 415, "wrong_content_type"),
    (b"{}", None, 415, "wrong_content_type"),
    (b"a" * (2**20 + 1), "application/json", 413, "body_too_large"),
]


def test_a_job_is_accepted_with_all_settings_resolved_and_its_message_sent(api, folder, redis):
    response = api.post("/train", json={**TINY, "name": "ours", "optim": {"max_steps": 7}})
    job = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == job["links"]["self"] == f"/jobs/{job['id']}"
    assert (job["kind"], job["status"], job["name"]) == ("train", "queued", "ours")
    assert job["config"]["dataset"] == str(folder)
    assert job["config"]["optim"]["max_steps"] == 7
    assert job["config"]["optim"]["batch_size"] == 16  # the preset's
    assert job["config"]["encoder"] == {
        "architecture": "vit_starter_patch16_224",
        "weights": "pretrained",
    }
    waiting = {"position": 1, "reason": "no worker is running"}
    assert api.get(response.headers["location"]).json() == {**job, "waiting": waiting}
    assert waiting_job_ids(redis) == {job["id"]}


@sqlite_only
def test_the_config_is_one_that_the_training_process_reads(api, folder):
    from paka.config import TrainConfig

    config = api.post("/train", json=TINY).json()["config"]
    assert TrainConfig.model_validate(config).model_dump(mode="json") == config


@sqlite_only
def test_fields_are_checked_with_the_preset_under_them(api, folder):
    # 96 fits the patch size 16 of this preset's encoder, not the 14 of the default's.
    body = {**TINY, "views": {"local_size": 96}}
    assert api.post("/train", json=body).status_code == 202


@sqlite_only
def test_a_job_may_ask_for_an_evaluation(api, folder, labelled):
    body = {**TINY, "evaluate": {"dataset": "labelled", "size": 64}}
    job = api.post("/train", json=body).json()
    assert job["config"]["evaluate"]["dataset"] == str(labelled)
    assert job["config"]["evaluate"]["size"] == 64
    assert job["links"]["report"] == f"/jobs/{job['id']}/report"


@sqlite_only
def test_a_bad_field_is_named_and_leaves_nothing_behind(api, folder, snapshot, assert_problem):
    root = folder.parent
    (root / "empty").mkdir()
    (root / "link").symlink_to("/etc")
    (root / "loop").symlink_to("loop")
    before = snapshot()
    for body, code, field in BAD_FIELDS:
        assert_problem(api.post("/train", json={**TINY, **body}), 422, code, field)
        assert snapshot() == before, body


@sqlite_only
def test_a_path_outside_the_roots_tells_nothing_of_what_is_there(api, settings):
    there, missing = (
        api.post("/train", json={**TINY, "dataset": path}).json()["detail"].replace(path, "PATH")
        for path in ("/etc", "/no/such/folder")
    )
    assert there == missing


@sqlite_only
def test_a_bad_body_is_a_problem_and_leaves_nothing_behind(api, snapshot, assert_problem):
    before = snapshot()
    for content, content_type, status, code in BAD_BODIES:
        headers = {"Content-Type": content_type} if content_type else {}
        assert_problem(api.post("/train", content=content, headers=headers), status, code)
        assert snapshot() == before, content[:50]


@sqlite_only
def test_a_relative_path_is_found_in_any_root(settings, serving, photos, tmp_path):
    settings = settings.model_copy(update={"data_roots": (tmp_path / "data", photos.parent)})
    with serving(create_app(settings)) as client:
        response = client.post("/train", json={**TINY, "dataset": photos.name})
    assert response.json()["config"]["dataset"] == str(photos.resolve())


def test_an_encoder_of_ours_becomes_its_architecture_and_weights(
    api, job, database, settings, assert_problem
):
    encoder_id = "enc_" + "1" * 26
    path = f"jobs/{job['id']}/final/encoder.safetensors"
    with database.write() as session:
        session.add(
            Encoder(
                id=encoder_id,
                job_id=job["id"],
                architecture="test_vit",
                base="test_vit@random",
                path=path,
                sha256="0" * 64,
                bytes=3,
                steps=60,
            )
        )
    body = {**TINY, "encoder": encoder_id}
    assert_problem(api.post("/train", json=body), 422, "encoder_unavailable", "encoder")
    file = settings.artifacts_folder / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"...")
    config = api.post("/train", json=body).json()["config"]
    assert config["encoder"] == {"architecture": "test_vit", "weights": str(file)}


def test_an_idempotency_key_gives_the_same_job_and_refuses_another_request(
    api, folder, redis, assert_problem
):
    key = {"Idempotency-Key": "once"}
    first = api.post("/train", json=TINY, headers=key)
    again = api.post("/train", json=TINY, headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    other = api.post("/train", json={**TINY, "name": "other"}, headers=key)
    assert_problem(other, 422, "idempotency_key_reused")
    assert len(api.get("/jobs").json()["data"]) == 1
    assert waiting_job_ids(redis) == {first.json()["id"]}


def test_equal_requests_at_the_same_moment_make_one_job(api, folder):
    def post(_):
        return api.post("/train", json=TINY, headers={"Idempotency-Key": "race"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(api.get("/jobs").json()["data"]) == 1


@sqlite_only
@pytest.mark.parametrize("key", ["", "k" * 201])
def test_an_idempotency_key_has_bounds(api, folder, assert_problem, key):
    response = api.post("/train", json=TINY, headers={"Idempotency-Key": key})
    assert_problem(response, 422, "invalid_request", "idempotency-key")


@sqlite_only
def test_without_redis_a_job_is_accepted_all_the_same(tmp_path, settings, serving, folder):
    away = Settings(**{**settings.model_dump(), "redis_url": f"unix://{tmp_path}/none.sock"})
    with serving(create_app(away)) as client:
        response = client.post("/train", json=TINY)
        assert response.status_code == 202
        assert client.get(f"/jobs/{response.json()['id']}").json()["status"] == "queued"


@sqlite_only
def test_a_data_set_with_a_link_out_of_the_roots_is_refused(api, folder, snapshot, assert_problem):
    (folder / "evil.jpg").symlink_to("/etc/passwd")
    before = snapshot()
    detail = assert_problem(api.post("/train", json=TINY), 422, "dataset_unreadable", "dataset")
    assert "evil.jpg is a link out of the data roots" in detail
    assert snapshot() == before
