from typing import get_args

import pytest

from paka.evaluation.config import EvaluateConfig, Layout
from service.store.broker import waiting_job_ids
from service.store.models import Encoder

BASE = "test_vit@random"
BASE_AS_OBJECT = {"architecture": "test_vit", "weights": "random"}
SMALL = {"encoders": [BASE], "dataset": "labelled", "size": 64}
OURS = "enc_" + "1" * 26
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BAD_FIELDS = [
    ({"encoders": []}, "invalid_request", "encoders"),
    ({"encoders": BASE}, "invalid_request", "encoders"),
    ({"encoders": [f"test_vit@{n}.pth" for n in range(17)]}, "invalid_request", "encoders"),
    ({"encoders": [BASE, BASE]}, "encoder_twice", "encoders.1"),
    ({"encoders": [BASE, BASE_AS_OBJECT]}, "encoder_twice", "encoders.1"),
    ({"encoders": [BASE, "vit_nope"]}, "invalid_request", "encoders.1.architecture"),
    ({"encoders": [BASE, "enc_short"]}, "invalid_request", "encoders.1"),
    ({"encoders": [BASE, OURS]}, "encoder_not_found", "encoders.1"),
    ({"encoders": [BASE, "test_vit@/etc/passwd"]}, "path_outside_roots", "encoders.1.weights"),
    ({"encoders": [BASE, "vit_small_patch14_dinov2@random"]}, "invalid_request", "size"),
    ({"names": ["a", "b"]}, "invalid_request", "names"),
    ({"names": ["a\x00b"]}, "invalid_request", "names.0"),
    ({"dataset": None}, "invalid_request", "dataset"),
    ({"dataset": "/etc"}, "path_outside_roots", "dataset"),
    ({"dataset": "../data2"}, "path_outside_roots", "dataset"),
    ({"dataset": "missing"}, "path_not_found", "dataset"),
    ({"dataset": "photos"}, "dataset_unreadable", "dataset"),
    ({"dataset": "labelled/classes.txt"}, "dataset_unreadable", "dataset"),
    ({"layout": "pets"}, "invalid_request", "layout"),
    ({"protocols": ["guessing"]}, "invalid_request", "protocols.0"),
    ({"protocols": ["knn", "knn"]}, "invalid_request", "protocols"),
    ({"size": 72}, "invalid_request", "size"),
    ({"seeds": []}, "invalid_request", "seeds"),
    ({"in_context": {"neighbours": 3}}, "invalid_request", "in_context.neighbours"),
    ({"cache": "/tmp/features"}, "invalid_request", "cache"),
    ({"name": ""}, "invalid_request", "name"),
]


@pytest.fixture
def ours(job, database, settings):
    """An encoder that a training job made; returns its weights file."""
    file = settings.job_folder(job["id"]) / "final/encoder.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"...")
    with database.write() as session:
        session.add(
            Encoder(
                id=OURS,
                job_id=job["id"],
                architecture="test_vit",
                base=BASE,
                path=str(file.relative_to(settings.artifacts_folder)),
                sha256="0" * 64,
                bytes=3,
                steps=60,
            )
        )
    return file


def test_a_job_is_accepted_with_all_settings_resolved_and_its_message_sent(api, labelled, redis):
    body = {**SMALL, "name": "ours", "protocols": ["knn"], "knn": {"k": 3}}
    response = api.post("/evaluate", json=body)
    job = response.json()
    assert response.status_code == 202, job
    assert response.headers["location"] == job["links"]["self"] == f"/jobs/{job['id']}"
    assert (job["kind"], job["status"], job["name"]) == ("evaluate", "queued", "ours")
    assert job["config"]["dataset"] == str(labelled)
    assert job["config"]["encoders"] == [BASE_AS_OBJECT]
    assert job["config"]["knn"] == {"k": 3}
    assert job["config"]["seeds"] == [0, 1, 2]
    assert job["links"]["report"] == f"/jobs/{job['id']}/report"
    assert [one["id"] for one in api.get("/jobs?kind=evaluate").json()["data"]] == [job["id"]]
    assert waiting_job_ids(redis) == {job["id"]}


def test_an_encoder_of_ours_is_measured_under_its_id(api, labelled, ours):
    config = api.post("/evaluate", json={**SMALL, "encoders": [BASE, OURS]}).json()["config"]
    assert config["encoders"][1] == {"architecture": "test_vit", "weights": str(ours)}
    assert config["names"] == [BASE, OURS]


@sqlite_only
def test_the_config_is_one_that_the_evaluating_process_reads(api, labelled):
    config = api.post("/evaluate", json=SMALL).json()["config"]
    assert EvaluateConfig.model_validate(config).model_dump(mode="json") == config


@sqlite_only
def test_the_user_says_what_encoders_are_called(api, labelled):
    body = {**SMALL, "encoders": [BASE, "test_vit2@random"], "names": ["before", "after"]}
    assert api.post("/evaluate", json=body).json()["config"]["names"] == ["before", "after"]


@sqlite_only
def test_encoders_whose_short_names_are_alike_go_by_their_references(api, labelled):
    files = [labelled / folder / "mine.pth" for folder in ("images", "masks")]
    for file in files:
        file.touch()
    references = [f"test_vit@{file}" for file in files]
    config = api.post("/evaluate", json={**SMALL, "encoders": references}).json()["config"]
    assert config["names"] == references


@sqlite_only
def test_a_bad_field_is_named_and_leaves_nothing_behind(
    api, folder, labelled, snapshot, assert_problem
):
    before = snapshot()
    for body, code, field in BAD_FIELDS:
        assert_problem(api.post("/evaluate", json={**SMALL, **body}), 422, code, field)
        assert snapshot() == before, body


@sqlite_only
def test_every_layout_is_checked_before_a_job_is_accepted(api, labelled, assert_problem):
    for layout in get_args(Layout):
        response = api.post("/evaluate", json={**SMALL, "layout": layout})
        if layout in ("auto", "plain"):
            assert response.status_code == 202
        else:
            assert layout in assert_problem(response, 422, "dataset_unreadable", "dataset")


@sqlite_only
def test_a_missing_mask_is_found_before_a_job_is_accepted(api, labelled, assert_problem):
    mask = sorted((labelled / "masks/val").iterdir())[0]
    mask.unlink()
    detail = assert_problem(api.post("/evaluate", json=SMALL), 422, "dataset_unreadable", "dataset")
    assert str(mask) in detail


@sqlite_only
def test_a_body_must_be_json(api, assert_problem):
    response = api.post("/evaluate", content=b"{}", headers={"Content-Type": "text/plain"})
    assert_problem(response, 415, "wrong_content_type")


def test_an_idempotency_key_gives_the_same_job_and_refuses_another_request(
    api, folder, labelled, assert_problem
):
    key = {"Idempotency-Key": "once"}
    first, again = (api.post("/evaluate", json=SMALL, headers=key) for _ in range(2))
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    other = api.post("/evaluate", json={**SMALL, "size": 32}, headers=key)
    assert_problem(other, 422, "idempotency_key_reused")
    train = api.post("/train", json={"preset": "tiny", "dataset": "photos"}, headers=key)
    assert_problem(train, 422, "idempotency_key_reused")
