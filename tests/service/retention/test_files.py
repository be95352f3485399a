"""Making room where jobs' files are in a bucket."""

import shutil

import pytest
from sqlalchemy import update

from service.auth.actor import LOCAL_ACTOR
from service.retention.collect import collect
from service.store.bucket import BucketError, bucket_of
from service.store.models import Job
from service.store.status import JobStatus

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def lab(service, bucket_url):
    """A service whose files are in a bucket."""
    service.settings = service.settings.model_copy(update={"artifacts_url": bucket_url})
    return service


def move(lab):
    """Bring all files to the bucket, as workers do."""
    bucket, folder = bucket_of(lab.settings), lab.settings.artifacts_folder
    for path in folder.rglob("*"):
        if path.is_file():
            bucket.push(path)
    shutil.rmtree(folder)


def there(lab):
    bucket = bucket_of(lab.settings)
    return {str(path.relative_to(bucket.folder / "jobs")) for path in bucket.objects(bucket.folder)}


def make_room(lab, **limits):
    values = {f"retention_{name}": value for name, value in limits.items()}
    settings = lab.settings.model_copy(update=values)
    return collect(lab.database, settings, LOCAL_ACTOR, dry_run=False)


def files_bytes(lab, job_id):
    with lab.database.read() as session:
        return session.get_one(Job, job_id).files_bytes


def ended_job(lab):
    job_id = lab.add_job(10, 20, status=JobStatus.SUCCEEDED)
    lab.add_encoder(job_id)
    lab.write(f"jobs/{job_id}/features/index.json", b"{}")
    move(lab)
    return job_id


def test_what_is_due_goes_from_the_bucket_with_its_rows(lab):
    job_id = ended_job(lab)
    done = make_room(lab, checkpoints_days=0)
    assert {one.step for one in done.removed} == {10, 20}
    rest = {f"{job_id}/{name}" for name in ("train.log", "features/index.json")}
    assert there(lab) == rest | {f"{job_id}/final/encoder.safetensors"}
    assert files_bytes(lab, job_id) == len(b"a line\n{}")
    make_room(lab, artifacts_days=0)
    assert there(lab) == {f"{job_id}/final/encoder.safetensors"}
    assert files_bytes(lab, job_id) == 0
    make_room(lab, artifacts_days=0, encoders=True)
    assert there(lab) == set()


def test_what_a_killed_run_has_left_goes_with_the_next(lab, away):
    job_id = ended_job(lab)
    make_room(lab)  # sizes are known
    come_back = away()
    with pytest.raises(BucketError):
        make_room(lab, checkpoints_days=0)
    come_back()
    assert any("checkpoints" in name for name in there(lab))  # though their rows are gone
    make_room(lab, checkpoints_days=0)
    assert not any("checkpoints" in name for name in there(lab))
    assert f"{job_id}/train.log" in there(lab)


def test_objects_of_no_job_go_once_they_are_old(lab):
    old, young = "job_" + "0" * 26, "job_" + "z" * 26
    for name in (old, young):
        lab.write(f"jobs/{name}/train.log", b"a line\n")
    ended_job(lab)
    done = make_room(lab)
    assert [one.bytes for one in done.orphans] == [7]
    assert {name.split("/")[0] for name in there(lab)} & {old, young} == {young}


def test_a_resumed_job_keeps_what_it_may_use(lab):
    job_id = ended_job(lab)
    with lab.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(pinned=True))
    before = there(lab)
    assert make_room(lab, checkpoints_days=0, artifacts_days=0).removed == []
    assert there(lab) == before
