"""A data set in the request: a job."""

import pytest

from tests.service.embed.asking import ENCODER

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_data_set_becomes_a_job(api, folder):
    body = {"dataset": "photos", "encoder": ENCODER, "size": 32, "name": "all", "batch_size": 4}
    key = {"Idempotency-Key": "k"}
    response = api.post("/embed", json=body, headers=key)
    job = response.json()
    assert (response.status_code, job["kind"], job["name"]) == (202, "embed", "all")
    assert response.headers["location"] == f"/jobs/{job['id']}"
    assert job["config"] == {
        "encoder": {"architecture": "test_vit", "weights": "random"},
        "dataset": str(folder),
        "options": {
            "size": 32,
            "resize": "crop",
            "layers": None,
            "dtype": "float16",
            "normalize": False,
            "pooling": "native",
        },
        "format": "safetensors",
        "batch_size": 4,
        "workers": 2,
    }
    assert api.post("/embed", json=body, headers=key).json()["id"] == job["id"]


def test_a_key_of_a_training_job_cannot_be_used_for_an_embed_job(api, folder, assert_problem):
    key = {"Idempotency-Key": "k"}
    api.post("/train", json={"preset": "tiny", "dataset": "photos"}, headers=key)
    response = api.post("/embed", json={"dataset": "photos"}, headers=key)
    assert_problem(response, 422, "idempotency_key_reused")
