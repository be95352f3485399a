"""Encoders, data sets, features and the cluster from the shell."""

import hashlib
import json

import pytest
from safetensors.numpy import load_file

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ENCODER_ID = "enc_" + "0" * 26


@pytest.fixture
def encoder(worker, settings):
    """The id of an encoder that a job made."""
    content = b"weights"
    file = settings.artifacts_folder / "final" / "encoder.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    worker.claim()
    sha256 = hashlib.sha256(content).hexdigest()
    worker.add_encoder(ENCODER_ID, "final/encoder.safetensors", sha256)
    worker.end()
    return ENCODER_ID


def test_encoders_are_listed_and_downloaded(remote, encoder, job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert encoder in remote("encoders")[0]
    assert encoder in remote("encoders", "--search", encoder[-5:])[0]
    assert encoder not in remote("encoders", "--search", "dinov2")[0]
    out, _ = remote("encoders", "--base", "--search", "dinov2", "-n", "3")
    assert out.count("dinov2") == 3
    out, _ = remote("download", job["id"])
    file = tmp_path / f"{encoder}.safetensors"
    assert file.read_bytes() == b"weights" and 'timm.create_model("test_vit"' in out
    assert f"paka remote embed IMAGES --encoder {encoder}" in remote("wait", job["id"])[0]
    assert "is a base architecture" in remote("download", "test_vit", code=1)[1]


def test_a_folder_is_uploaded_listed_and_trained_on(remote, photos, tmp_path):
    source = tmp_path / "few"
    source.mkdir()
    (source / "1.jpg").write_bytes(sorted(photos.iterdir())[0].read_bytes())
    (source / "2.jpg").write_bytes(b"no image")
    out, err = remote("upload", source, "--private")
    assert out.startswith("few: 1 images") and "left out: 2.jpg" in err
    [listed] = json.loads(remote("datasets", "--json")[0])
    assert (listed["name"], listed["visibility"]) == ("few", "private")
    assert "few" in remote("datasets")[0]
    assert "few" in remote("train", "few", "--preset", "tiny", "--json")[0]


def test_images_of_this_machine_become_a_file(remote, embed_worker, photos, tmp_path):
    output = tmp_path / "features.safetensors"
    arguments = ("--encoder", "test_vit@random", "--size", "32x48", "--output", output)
    out, _ = remote("embed", photos, *arguments)
    assert out == f"written to {output}: patch_tokens 12 x 2 x 3 x 3 float16\n"
    assert load_file(output)["boxes"].shape == (12, 4)
    first = sorted(photos.iterdir())[0]
    out, err = remote("embed", first, *arguments, "--json")
    assert json.loads(out)["images"] == [str(first)] and err == ""
    remote("embed", "--dataset", "photos", "--encoder", "test_vit@random", code=2)  # not there


def test_a_folder_as_output_is_refused_before_anything_is_computed(remote, photos, tmp_path):
    folder = tmp_path / "features"
    folder.mkdir()
    arguments = ("--url", "http://127.0.0.1:1", "embed", photos, "--encoder", "test_vit@random")
    _, err = remote(*arguments, "-o", folder, code=2)  # a request would end with 4: nobody is there
    assert f"{folder} is a folder; name a file" in err
    assert list(folder.iterdir()) == []


def test_a_data_set_of_the_server_becomes_a_job(remote, api, folder):
    out, _ = remote(
        "embed", "--dataset", "photos", "--encoder", "test_vit@random", "--format", "zarr"
    )
    [job] = api.get("/jobs").json()["data"]
    assert out.startswith(job["id"])
    assert (job["kind"], job["config"]["format"]) == ("embed", "zarr")


def test_evaluations_and_their_reports(remote, api, labelled, settings, tmp_path):
    arguments = ("evaluate", "test_vit", "test_vit@random", "--on", "labelled")
    remote(*arguments, "--protocol", "knn", "--size", "64", "--set", "seeds=[1]")
    [job] = api.get("/jobs").json()["data"]
    assert (job["config"]["protocols"], job["config"]["seeds"]) == (["knn"], [1])
    _, err = remote("report", job["id"], code=1)
    assert "its report is there when it has succeeded" in err
    folder = settings.job_folder(job["id"])
    folder.mkdir(parents=True)
    (folder / "report.md").write_text("| | base |\n|---|---|\n| knn | 0.5 |\n")
    (folder / "report.html").write_text("<h1>report</h1>")
    assert "| knn | 0.5 |" in remote("report", job["id"])[0]
    output = tmp_path / "report.html"
    remote("report", job["id"], "--format", "html", "--output", output)
    assert output.read_text() == "<h1>report</h1>"


def test_what_runs_where(remote, all_workers, folder):
    remote("train", "photos", "--preset", "tiny")
    out, _ = remote("cluster")
    assert "Queue (1)" in out and "local" in out
    assert json.loads(remote("cluster", "--json")[0])["queued_jobs"] == 1
    assert "local (admin)" in remote("status")[0]
