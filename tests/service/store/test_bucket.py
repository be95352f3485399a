import hashlib
import json
import subprocess
import sys

import pytest

from service.store.bucket import Bucket, BucketError, DamagedError, bucket_of, first_what_completes
from service.store.settings import Settings
from tests.fixtures.buckets import write

JOB = "jobs/job_01"


@pytest.fixture
def hosts(bucket_url, tmp_path):
    """Two hosts' views of one bucket."""
    return Bucket(bucket_url, tmp_path / "a"), Bucket(bucket_url, tmp_path / "b")


def write_checkpoint(bucket, step, content=b"weights"):
    folder = f"{JOB}/checkpoints/step-{step:08d}"
    files = {"encoder.safetensors": content, "state.pt": b"state at %d" % step}
    about = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
    }
    meta = json.dumps({"step": step, "files": about}).encode()
    paths = [write(bucket, f"{folder}/{name}", data) for name, data in files.items()]
    return [*paths, write(bucket, f"{folder}/meta.json", meta)]


def push(bucket, *paths):
    for path in paths:
        bucket.push(path)


def below(bucket):
    return {
        str(path.relative_to(bucket.folder)): path.read_bytes()
        for path in sorted(bucket.folder.rglob("*"))
        if path.is_file()
    }


def test_what_one_host_writes_another_reads(hosts):
    a, b = hosts
    file = write(a, f"{JOB}/train.log", b"one\ntwo\n")
    there = b.folder / JOB / "train.log"
    assert (b.size(there), b.objects(there.parent), b.jobs()) == (None, {}, [])
    a.push(file)
    assert b.size(there) == 8
    assert b.objects(b.folder / JOB) == {there: 8}
    assert b.jobs() == [b.folder / JOB]
    assert (b.read(there), b.read(there, 2, 5)) == (b"one\ntwo\n", b"e\nt")
    assert b.fetch(there) == there
    assert there.read_bytes() == b"one\ntwo\n"


def test_a_folder_is_no_file(hosts):
    a, _ = hosts
    push(a, write(a, f"{JOB}/train.log", b"x"))
    assert a.size(a.folder / JOB) is None


def test_a_job_arrives_whole_in_place_of_what_was_here(hosts):
    a, b = hosts
    push(a, write(a, f"{JOB}/train.log", b"log"), write(a, f"{JOB}/features/index.json", b"{}"))
    push(a, *write_checkpoint(a, 10), *write_checkpoint(a, 20))
    write(b, f"{JOB}/train.log", b"an older log, and longer")
    write_checkpoint(b, 5)
    assert b.fetch_job(b.folder / JOB)
    assert below(b) == below(a)


def test_nothing_is_changed_for_a_job_of_which_there_is_nothing(hosts):
    _, b = hosts
    write(b, f"{JOB}/train.log", b"older than the bucket")
    before = below(b)
    assert not b.fetch_job(b.folder / JOB)
    assert below(b) == before


def test_a_checkpoint_without_its_meta_is_not_there(hosts):
    a, b = hosts
    push(a, *write_checkpoint(a, 10), *write_checkpoint(a, 20)[:-1])
    b.fetch_job(b.folder / JOB)
    assert {path.split("/")[3] for path in below(b)} == {"step-00000010"}


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_damaged_checkpoint_is_passed_over(hosts, harm):
    a, b = hosts
    push(a, *write_checkpoint(a, 10))
    _, state, _ = files = write_checkpoint(a, 20)
    push(a, *files)
    state.write_bytes(b"others")
    if harm == "changed":
        a.push(state)
    else:
        a.remove(state)
    b.fetch_job(b.folder / JOB)
    assert {path.split("/")[3] for path in below(b)} == {"step-00000010"}


def test_a_fetched_file_has_the_sha256_that_meta_json_gives(hosts):
    a, b = hosts
    encoder, *others = write_checkpoint(a, 10, b"weights")
    push(a, encoder, *others)
    here = b.folder / encoder.relative_to(a.folder)
    write(b, here, b"older")
    assert b.fetch(here).read_bytes() == b"weights"
    encoder.write_bytes(b"harmed!")
    a.push(encoder)
    here.unlink()
    with pytest.raises(
        DamagedError, match=r"step-00000010/encoder.safetensors has sha256 [0-9a-f]"
    ):
        b.fetch(here)
    with pytest.raises(DamagedError):
        b.fetch(here, "0" * 64)
    assert list(here.parent.iterdir()) == []


def test_what_is_here_with_the_right_content_is_not_fetched_again(hosts):
    a, _ = hosts
    encoder, *others = write_checkpoint(a, 10)
    push(a, *others)
    assert a.fetch(encoder) == encoder  # though the bucket lacks it


def test_meta_comes_last_and_goes_first(hosts):
    a, _ = hosts
    encoder, state, meta = write_checkpoint(a, 10)
    assert first_what_completes([encoder, meta, state]) == [meta, encoder, state]
    push(a, encoder, state, meta)
    a.remove(meta.parent, a.folder / "jobs/none")
    assert a.objects(a.folder / JOB) == {}


def test_a_file_that_is_gone_is_not_the_bucket_s_fault(hosts):
    a, _ = hosts
    for ask in (a.push, a.read, a.fetch):
        with pytest.raises(FileNotFoundError):
            ask(a.folder / JOB / "gone")


def test_a_bucket_that_is_not_there_is_told(hosts, tmp_path):
    nowhere = Bucket("s3://no-such-bucket/prefix", tmp_path)
    file = write(nowhere, "jobs/x", b"x")
    for ask in (nowhere.check, nowhere.try_out, lambda: nowhere.push(file)):
        with pytest.raises(BucketError, match=r"s3://no-such-bucket/prefix.*does not exist.*PAKA_"):
            ask()


def test_a_bucket_that_is_away_is_told_and_comes_back(hosts, away):
    a, _ = hosts
    file = write(a, f"{JOB}/train.log", b"x")
    a.check()
    come_back = away()
    asks = (a.check, lambda: a.push(file), lambda: a.size(file), lambda: a.objects(file.parent))
    for ask in (*asks, a.jobs, lambda: a.remove(file), lambda: a.read(file), a.try_out):
        with pytest.raises(BucketError, match=r"Could not connect.*AWS_ENDPOINT_URL"):
            ask()
    come_back()
    a.push(file)
    assert a.size(file) == 1


def test_a_bucket_without_room_is_told_and_can_still_be_made_room_in(hosts, s3, bucket_url):
    a, _ = hosts
    file = write(a, f"{JOB}/train.log", b"x")
    a.check_room()
    a.push(file)
    s3.refuse_objects(bucket_url)
    with pytest.raises(BucketError, match=r"cannot write \.paka in s3://"):
        a.check_room()
    a.check()
    a.remove(file)
    assert a.size(file) is None


def test_trying_out_leaves_nothing(hosts):
    a, _ = hosts
    a.try_out()
    assert a.objects(a.folder) == {}
    a.check()
    a.check()
    assert list(a.objects(a.folder)) == [a.folder / ".paka"]


def test_a_kind_of_storage_without_its_package_is_told(tmp_path):
    with pytest.raises(BucketError, match=r"nonsense://.*install the extra"):
        Bucket("nonsense://bucket/prefix", tmp_path).check()


def test_a_password_in_the_url_is_not_told(tmp_path):
    with pytest.raises(BucketError) as error:
        Bucket("nonsense://me:secret@bucket/prefix", tmp_path).check()
    assert "secret" not in str(error.value)


def test_other_storages_do_as_well(tmp_path):
    bucket = Bucket("memory://lab/prefix", tmp_path)
    bucket.try_out()
    push(bucket, *write_checkpoint(bucket, 10))
    other = Bucket("memory://lab/prefix", tmp_path / "other")
    assert other.fetch_job(other.folder / JOB)
    other.remove(other.folder)
    assert other.objects(other.folder) == {}


def test_there_is_a_bucket_only_where_the_settings_name_one(tmp_path):
    assert bucket_of(Settings(home=tmp_path)) is None
    settings = Settings(home=tmp_path, artifacts_url="s3://lab/prefix/")
    assert bucket_of(settings) is bucket_of(settings)
    assert bucket_of(settings).url == "s3://lab/prefix"
    assert Settings(artifacts_url="").artifacts_url is None


@pytest.mark.parametrize("url", ["lab/prefix", "file:///srv", "s3://", "s3://lab?x=1", "/srv"])
def test_what_is_no_bucket_is_refused(url):
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        Settings(artifacts_url=url)


def test_without_a_bucket_nothing_of_it_is_imported():
    code = (
        "import sys, service.app, worker.app; from service.store.bucket import bucket_of;"
        "from service.store.settings import Settings; bucket_of(Settings());"
        "sys.exit(', '.join({'s3fs', 'botocore', 'aiobotocore'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
