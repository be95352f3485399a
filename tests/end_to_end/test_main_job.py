"""The main job: post a folder of photographs, follow it, fetch dense features before and after."""

import hashlib
import io
import json
import time

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.numpy import load

from paka.data.decode import decode
from paka.data.preprocess import prepare
from paka.encoder import DenseEncoder
from paka.features import extract
from paka.options import FeatureOptions

BASE = "vit_starter_patch16_224"
SMALL = {
    "preset": "tiny",
    "encoder": BASE,
    "views": {"global_size": 64, "local_size": 32},
    "loss": {"grid": 2},
    "optim": {"batch_size": 4, "max_steps": 10},
    "runtime": {"workers": 0, "log_every": 1, "checkpoint_every_steps": 4, "probe_images": 4},
}
# The smallest encoder: how soon it stops must not hang on the size of its checkpoints.
LONG = {**SMALL, "encoder": "test_vit@random", "optim": {"batch_size": 4, "max_steps": 100_000}}
SQLITE = pytest.mark.parametrize("service", ["sqlite"], indirect=True)


def post(service, path, body):
    response = service.post(path, json=body)
    assert response.status_code == 202, response.text
    return response.json()


def wait_for(service, job, *statuses, seconds=120):
    deadline = time.monotonic() + seconds
    while True:
        found = service.get(f"/jobs/{job['id']}").json()
        if found["status"] in statuses:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def events(service, job, last=None):
    headers = {"Last-Event-ID": str(last)} if last else {}
    with service.stream("GET", f"/jobs/{job['id']}/events", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:")]


def jpeg(path):
    return ("images", (path.name, path.read_bytes(), "image/jpeg"))


def embed(service, encoder, *paths, **options):
    data = {"encoder": encoder, "size": "64", "dtype": "float32", **options}
    response = service.post("/embed", files=[jpeg(path) for path in paths], data=data)
    assert response.status_code == 200, response.text
    return response


def test_from_photographs_to_features(service, photos, tmp_path):
    job = post(service, "/train", {**SMALL, "dataset": str(photos), "name": "main"})
    seen = events(service, job)
    assert [e["message"] for e in seen if e["type"] == "status"] == [
        "queued",
        "running",
        "succeeded",
    ]
    assert [e["step"] for e in seen if e["type"] == "metrics"] == list(range(11))
    assert [e["step"] for e in seen if e["type"] == "checkpoint"] == [4, 8]
    assert [e["id"] for e in seen] == sorted(e["id"] for e in seen)
    assert events(service, job, last=seen[4]["id"]) == seen[5:]

    job = wait_for(service, job, "succeeded")
    assert job["progress"]["step"] == 10
    metrics = service.get(f"/jobs/{job['id']}/metrics").json()["data"]
    assert [row["step"] for row in metrics] == list(range(11))
    probed = [row["step"] for row in metrics if "probe_effective_rank" in row]
    assert probed == [0, 4, 8, 10]
    assert all(row["loss"] > 0 for row in metrics[1:])
    assert "10 steps" in service.get(f"/jobs/{job['id']}/log").text
    assert len(service.get(f"/jobs/{job['id']}/checkpoints").json()["data"]) == 2

    encoder = service.get(f"/encoders/{job['encoder']}").json()
    weights = service.get(f"/encoders/{job['encoder']}/weights")
    assert hashlib.sha256(weights.content).hexdigest() == encoder["sha256"]
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(weights.content)
    timm.create_model(encoder["architecture"], num_classes=0, checkpoint_path=str(path))

    photo = sorted(photos.iterdir())[0]
    before = load(embed(service, BASE, photo).content)["patch_tokens"]
    answer = embed(service, job["encoder"], photo)
    after = load(answer.content)
    pixels = prepare(decode(photo), 64, 64, "crop").pixels[None]
    options = FeatureOptions(size=64, dtype="float32")
    loaded = DenseEncoder(BASE, str(path)).eval()
    expected = extract(loaded, pixels, options).patch_tokens.numpy()
    assert np.allclose(after["patch_tokens"], expected, atol=1e-4)
    assert not np.allclose(before, after["patch_tokens"], atol=1e-4)
    assert float(answer.headers["x-inference-time"]) > 0


@SQLITE
def test_a_job_is_cancelled_within_five_seconds_and_goes_on_later(service, photos):
    job = post(service, "/train", {**LONG, "dataset": str(photos)})
    wait_for(service, job, "running")
    while not (service.get(f"/jobs/{job['id']}").json()["progress"] or {}).get("step"):
        time.sleep(0.1)
    asked = time.monotonic()
    assert service.post(f"/jobs/{job['id']}/cancel").status_code in (200, 202)
    cancelled = wait_for(service, job, "cancelled", seconds=30)
    assert time.monotonic() - asked < 5
    [*_, last] = service.get(f"/jobs/{job['id']}/checkpoints").json()["data"]
    weights = service.get(f"/jobs/{job['id']}/checkpoints/{last['step']}/encoder.safetensors")
    assert weights.status_code == 200
    assert last["step"] == cancelled["progress"]["step"]

    assert service.post(f"/jobs/{job['id']}/resume").status_code in (200, 202)
    again = wait_for(service, job, "running")
    assert again["attempt"] == 2
    while service.get(f"/jobs/{job['id']}").json()["progress"]["step"] <= last["step"]:
        time.sleep(0.1)
    service.post(f"/jobs/{job['id']}/cancel")
    wait_for(service, job, "cancelled", seconds=30)
    assert service.delete(f"/jobs/{job['id']}").status_code == 204
    assert service.get(f"/jobs/{job['id']}").status_code == 404


@SQLITE
def test_embedding_in_every_form(service, photos):
    paths = sorted(photos.iterdir())[:3]
    tensors = load(embed(service, BASE, *paths).content)
    assert tensors["patch_tokens"].shape == (3, 4, 4, 192)
    assert tensors["boxes"].shape == (3, 4)
    for row, path in enumerate(paths):
        alone = load(embed(service, BASE, path).content)
        assert np.allclose(alone["patch_tokens"][0], tensors["patch_tokens"][row], atol=1e-4)
        with Image.open(path) as image:
            assert tuple(tensors["original_sizes"][row]) == image.size

    as_npy = service.post(
        "/embed",
        files=[jpeg(p) for p in paths],
        data={"encoder": BASE, "size": "64", "dtype": "float32"},
        headers={"Accept": "application/x-npy"},
    )
    assert np.allclose(np.load(io.BytesIO(as_npy.content)), tensors["patch_tokens"], atol=1e-4)

    job = post(
        service,
        "/embed",
        {"encoder": BASE, "size": 64, "dtype": "float32", "dataset": str(photos)},
    )
    wait_for(service, job, "succeeded")
    index = service.get(f"/jobs/{job['id']}/features").json()
    assert index["images"] == 12
    [shard] = index["shards"]
    content = load(service.get(f"/jobs/{job['id']}/features/{shard['file']}").content)
    row = shard["images"].index(paths[0].name)
    assert np.allclose(content["patch_tokens"][row], tensors["patch_tokens"][0], atol=1e-4)
    assert torch.from_numpy(content["patch_tokens"]).isfinite().all()
