import hashlib
import json
import threading
import time

import pytest

from service.store.attempts import Lease, LeaseLost
from service.store.bucket import Bucket, BucketError
from tests.fixtures.buckets import write
from worker.uploads import Uploads, lacks

FOLDER = "jobs/job_01"


class Job:
    """A job's folder, and uploads of it that were not started: `finish` brings all at once."""

    def __init__(self, bucket):
        self.bucket, self.folder = bucket, bucket.folder / FOLDER
        self.lost = False

    def uploads(self):
        return Uploads(self.bucket, self.folder, 0.01, self.check_lease)

    def check_lease(self):
        if self.lost:
            raise LeaseLost(Lease("job_01", 1, "me"))

    def write(self, name, content=b"x"):
        return write(self.bucket, f"{FOLDER}/{name}", content)

    def write_checkpoint(self, step, content=b"weights"):
        folder = f"checkpoints/step-{step:08d}"
        self.write(f"{folder}/encoder.safetensors", content)
        about = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        meta = {"step": step, "files": {"encoder.safetensors": about}}
        self.write(f"{folder}/meta.json", json.dumps(meta).encode())

    def there(self):
        return {str(p.relative_to(self.folder)) for p in self.bucket.objects(self.folder)}


@pytest.fixture
def job(bucket_url, tmp_path):
    return Job(Bucket(bucket_url, tmp_path))


@pytest.fixture
def calls(job, monkeypatch):
    """What is written to the bucket, in order."""
    calls = []
    push = job.bucket.push
    monkeypatch.setattr(job.bucket, "push", lambda path: (calls.append(path), push(path)))
    return calls


def bring(job):
    """Bring all that is there now, as a look of a running worker does."""
    uploads = job.uploads()
    for part in uploads._parts:
        part.bring()
    return uploads


def test_what_lasts_is_brought_and_nothing_else(job):
    lasting = {
        "train.log",
        "metrics.jsonl",
        "report.json",
        "evaluation/report.json",
        "features/index.json",
        "features/features-00000.zarr.zip",
        "final/meta.json",
        "tensorboard/events.out",
    }
    for name in lasting | {
        "lock",
        "evaluation/lock",
        ".attempt",
        ".report.json.77.tmp",
        ".step.tmp/encoder.safetensors",
        "features/0f0f/patches.npy",
        "evaluation/features/0f0f.partial/patches.npy",
    }:
        job.write(name)
    bring(job)
    assert job.there() == lasting


def test_only_what_is_new_or_changed_is_written(job, calls):
    log = job.write("train.log")
    job.write_checkpoint(1)
    uploads = bring(job)
    calls.clear()
    log.write_bytes(b"longer")
    job.write_checkpoint(2)
    for part in uploads._parts:
        part.bring()
    names = [str(path.relative_to(job.folder)) for path in calls]
    folder = "checkpoints/step-00000002"
    assert names == ["train.log", f"{folder}/encoder.safetensors", f"{folder}/meta.json"]
    again = bring(job)  # the next attempt
    calls.clear()
    again._parts[1].bring()
    assert calls == []


def test_what_another_host_left_incomplete_does_not_count_though_it_has_the_same_size(job):
    folder = job.folder / "checkpoints/step-00000002"
    job.write_checkpoint(1)
    job.bucket.push(job.write("checkpoints/step-00000002/encoder.safetensors", b"of that"))
    job.write_checkpoint(2, b"of this")
    bring(job)
    assert job.bucket.read(folder / "encoder.safetensors") == b"of this"
    assert job.bucket.read(folder / "meta.json") == (folder / "meta.json").read_bytes()


def test_what_another_host_made_complete_goes_where_this_one_made_others(job):
    folder = job.folder / "checkpoints/step-00000001"
    job.write_checkpoint(1, b"of that")
    bring(job)
    job.write_checkpoint(1, b"of this")
    bring(job)
    assert job.bucket.read(folder / "encoder.safetensors") == b"of this"
    assert job.bucket.read(folder / "meta.json") == (folder / "meta.json").read_bytes()


def test_what_was_pruned_goes_from_the_bucket(job):
    for step in (1, 2):
        job.write_checkpoint(step)
    uploads = bring(job)
    for file in (job.folder / "checkpoints/step-00000001").iterdir():
        file.unlink()
    uploads._parts[1].bring()
    assert {name.split("/")[1] for name in job.there()} == {"step-00000002"}


def test_a_folder_that_was_lost_here_is_not_lost_in_the_bucket(job):
    job.write_checkpoint(1)
    uploads = bring(job)
    for file in (job.folder / "checkpoints/step-00000001").iterdir():
        file.unlink()
    uploads._parts[1].bring()
    assert len(job.there()) == 2


def test_a_checkpoint_that_is_written_again_is_incomplete_meanwhile(job, monkeypatch):
    job.write_checkpoint(1)
    uploads = bring(job)
    job.write_checkpoint(1, b"others")
    seen, push = [], job.bucket.push
    monkeypatch.setattr(job.bucket, "push", lambda path: (seen.append(job.there()), push(path)))
    uploads._parts[1].bring()
    assert seen[0] == {"checkpoints/step-00000001/encoder.safetensors"}
    assert len(job.there()) == 2


def test_a_checkpoint_that_goes_meanwhile_is_no_error(job, monkeypatch):
    job.write_checkpoint(1)
    meta = job.folder / "checkpoints/step-00000001/meta.json"
    push = job.bucket.push
    monkeypatch.setattr(job.bucket, "push", lambda path: (meta.unlink(), push(path)))
    bring(job)
    assert job.there() == {"checkpoints/step-00000001/encoder.safetensors"}


def test_what_somebody_removed_from_the_bucket_is_written_once_more(job):
    file = job.write("train.log")
    uploads = bring(job)
    job.bucket.remove(file)
    assert lacks(job.bucket, job.folder) == [file]
    uploads._threads = []
    uploads.finish()
    assert lacks(job.bucket, job.folder) == []


def test_a_bucket_that_keeps_nothing_is_told(job, monkeypatch):
    job.write("train.log")
    monkeypatch.setattr(job.bucket, "push", lambda path: None)
    uploads = job.uploads()
    uploads._threads = []
    with pytest.raises(BucketError, match=r"train.log was written .* does not have it"):
        uploads.finish()


def test_nothing_is_written_once_the_lease_is_lost(job):
    job.write_checkpoint(1)
    job.write("train.log")
    job.lost = True
    uploads = job.uploads()
    uploads.start()
    for thread in uploads._threads:
        thread.join(10)
        assert not thread.is_alive()
    with pytest.raises(LeaseLost):
        uploads.finish()
    assert job.there() == set()


def test_a_log_does_not_wait_for_a_checkpoint(job, monkeypatch):
    job.write_checkpoint(1)
    log, slow, push = job.write("train.log"), threading.Event(), job.bucket.push

    def slowly(path):
        if "checkpoints" in path.parts:
            slow.wait(10)
        push(path)

    monkeypatch.setattr(job.bucket, "push", slowly)
    uploads = job.uploads()
    uploads.start()
    deadline = time.monotonic() + 10
    while job.bucket.size(log) is None:
        assert time.monotonic() < deadline
    assert job.there() == {"train.log"}
    slow.set()
    uploads.finish()
    assert len(job.there()) == 3
