"""Files of jobs, answered from a bucket by an API that shares no disk with the workers."""

import hashlib
import json
import os
import shutil

import pytest

from service.app import create_app
from service.artifacts import artifact
from service.errors import ApiError
from service.store.bucket import bucket_of
from service.store.status import JobStatus
from tests.fixtures.buckets import write

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ENCODER = "enc_" + "7" * 26


@pytest.fixture
def bucket(host):
    """The bucket as the API sees it; nothing is written to the API's own disk."""
    return bucket_of(host("api"))


@pytest.fixture
def far(host, serving):
    """A client of an API on a host of its own."""
    with serving(create_app(host("api"))) as client:
        yield client


@pytest.fixture
def put(host, job):
    """Writes a file of the job to the bucket, as its worker does."""
    worker = bucket_of(host("worker"))

    def put(name, content):
        worker.push(write(worker, f"jobs/{job['id']}/{name}", content))

    return put


def describe(content):
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_encoders_and_checkpoints_are_downloaded(far, job, worker, put, bucket, assert_problem):
    content = os.urandom(3 * 2**20)
    about = describe(content)
    worker.claim().add_checkpoint(20, {"encoder.safetensors": about})
    path = f"jobs/{job['id']}/final/encoder.safetensors"
    worker.add_encoder(ENCODER, path, about["sha256"])
    urls = (
        f"/encoders/{ENCODER}/weights",
        f"/jobs/{job['id']}/checkpoints/20/encoder.safetensors",
    )
    assert_problem(far.get(urls[0]), 404, "artifact_not_found")
    put("final/encoder.safetensors", content)
    put("checkpoints/step-00000020/encoder.safetensors", content)
    for url in urls:
        response = far.get(url)
        assert response.content == content
        assert response.headers["content-length"] == str(len(content))
        assert response.headers["etag"] == f'"{about["sha256"]}"'
        assert response.headers["content-disposition"].endswith('.safetensors"')
        again = far.get(url, headers={"If-None-Match": response.headers["etag"]})
        assert again.status_code == 304
    assert not bucket.folder.exists()


def test_a_checkpoint_that_is_not_in_the_bucket_yet_is_worth_waiting_for(
    far, api, job, worker, put, assert_problem
):
    content = b"weights"
    worker.claim().add_checkpoint(20, {"encoder.safetensors": describe(content)})
    url = f"/jobs/{job['id']}/checkpoints/20/encoder.safetensors"
    response = far.get(url)
    assert_problem(response, 503, "artifact_on_its_way")
    assert response.headers["retry-after"] == "5"
    assert_problem(api.get(url), 404, "artifact_not_found")  # there is no bucket to wait for
    put("checkpoints/step-00000020/encoder.safetensors", content)
    assert far.get(url).content == content


def test_a_checkpoint_of_a_job_that_has_ended_does_not_come_any_more(
    far, job, worker, assert_problem
):
    worker.claim().add_checkpoint(20, {"encoder.safetensors": describe(b"weights")})
    worker.end()
    url = f"/jobs/{job['id']}/checkpoints/20/encoder.safetensors"
    assert_problem(far.get(url), 404, "artifact_not_found")


def test_a_log_comes_whole_by_its_last_lines_or_from_an_offset(far, job, put):
    url = f"/jobs/{job['id']}/log"
    assert (far.get(url).text, far.get(url).headers["log-end"]) == ("", "0")
    lines = [f"line {number} {'é' * 400}\n" for number in range(3000)]  # more than a block
    put("train.log", "".join(lines).encode())
    assert far.get(url).text == "".join(lines)
    for count in (1, 2, 2000, 5000):
        assert far.get(url, params={"tail": count}).text == "".join(lines[-count:])
    size = len("".join(lines).encode())
    response = far.get(url, params={"offset": size - 10})
    assert response.content == lines[-1].encode()[-10:]
    assert response.headers["log-end"] == str(size)
    assert far.get(url, params={"offset": size + 10}).content == b""


def test_features_and_reports_are_answered(far, api, folder, labelled, put, host, database):
    body = {"dataset": "photos", "encoder": "test_vit@random"}
    embed = far.post("/embed", json=body).json()
    evaluate = far.post(
        "/evaluate", json={"dataset": "labelled", "encoders": ["test_vit@random"]}
    ).json()
    index = {"images": 1, "shards": [], "skipped": []}
    files = {
        f"jobs/{embed['id']}/features/index.json": json.dumps(index).encode(),
        f"jobs/{embed['id']}/features/features-00000.safetensors": b"shard",
        f"jobs/{evaluate['id']}/report.md": b"# Report",
    }
    worker = bucket_of(host("worker"))
    for path, content in files.items():
        worker.push(write(worker, path, content))
    features = embed["links"]["features"]
    assert far.get(features).json() == index
    assert far.get(f"{features}/features-00000.safetensors").content == b"shard"
    report = far.get(f"/jobs/{evaluate['id']}/report", params={"format": "markdown"})
    assert report.text == "# Report"
    assert report.headers["content-disposition"].startswith("inline")
    assert far.get(f"/jobs/{evaluate['id']}/report").json()["code"] == "report_not_ready"


def test_what_is_removed_between_a_look_and_the_reading_is_not_there(host, job, put, bucket):
    put("features/index.json", b"{}")
    found = artifact(host("api"), f"jobs/{job['id']}/features/index.json")
    bucket.remove(found.path)
    with pytest.raises(ApiError, match=r"index\.json is not in the artifact store") as caught:
        found.read(0, found.size)
    assert (caught.value.problem.status, caught.value.problem.code) == (404, "artifact_not_found")


def test_an_encoder_is_named_by_a_reference_that_every_host_understands(far, worker, folder, job):
    path = f"jobs/{job['id']}/final/encoder.safetensors"
    worker.claim().add_encoder(ENCODER, path, "ab" * 32)
    worker.end()
    body = {"preset": "tiny", "dataset": "photos", "encoder": ENCODER}
    made = far.post("/train", json=body).json()
    assert made["config"]["encoder"]["weights"] == f"artifact:{path}#{'ab' * 32}"


def test_a_bucket_that_is_away_is_a_503_and_nothing_changes(
    far, job, worker, put, away, assert_problem, database, bucket
):
    worker.claim().add_encoder(ENCODER, f"jobs/{job['id']}/final/encoder.safetensors", "ab")
    worker.end()
    put("train.log", b"line\n")
    come_back = away()
    asks = [
        ("GET", f"/encoders/{ENCODER}/weights"),
        ("GET", f"/jobs/{job['id']}/log"),
        ("DELETE", f"/jobs/{job['id']}"),
    ]
    for method, url in asks:
        response = far.request(method, url)
        detail = assert_problem(response, 503, "artifacts_unavailable")
        assert response.headers["retry-after"] == "5"
        assert "Could not connect" in detail
    come_back()
    assert far.get(f"/jobs/{job['id']}").json()["status"] == JobStatus.SUCCEEDED
    assert far.delete(f"/jobs/{job['id']}").status_code == 204
    assert bucket.objects(bucket.folder / "jobs") == {}


def test_a_job_is_deleted_even_if_the_bucket_goes_away_meanwhile(
    far, job, worker, put, bucket, monkeypatch, away
):
    worker.claim().end()
    put("train.log", b"line\n")
    monkeypatch.setattr("service.jobs.service.check_storage", lambda settings: away())
    assert far.delete(f"/jobs/{job['id']}").status_code == 204
    assert far.get(f"/jobs/{job['id']}").status_code == 404


def test_a_job_is_deleted_while_a_worker_of_the_same_host_tidies_its_folder(
    far, job, worker, put, bucket, host, monkeypatch
):
    worker.claim().end()
    put("train.log", b"line\n")
    folder = host("api").job_folder(job["id"])
    folder.mkdir(parents=True)
    remove = shutil.rmtree

    def remove_late(path, **options):
        folder.rename(folder.with_name(".tidied"))
        remove(path, **options)

    monkeypatch.setattr("service.artifacts.shutil.rmtree", remove_late)
    assert far.delete(f"/jobs/{job['id']}").status_code == 204
    assert bucket.objects(bucket.folder / "jobs") == {}
