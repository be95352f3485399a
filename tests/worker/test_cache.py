import os
import time

import pytest

from paka.files import write_json
from service.store import attempts, jobs
from service.store.bucket import MARK, bucket_of
from service.store.status import JobStatus
from worker.cache import clear, weights_here
from worker.inputs import use_folder

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Host:
    """A host's folders of jobs, and the jobs."""

    def __init__(self, settings, database):
        self.bucket, self.database = bucket_of(settings), database
        self.folders = self.bucket.folder / "jobs"

    def add_job(self, status=None, config=None):
        with self.database.write() as session:
            job_id = jobs.create(session, "train", config or {}, request_sha256="0" * 64).id
            lease = attempts.claim(session, job_id, "me", 60)
            if status is not None:
                attempts.finish(session, lease, status)
        return job_id

    def add_folder(self, job_id, mark=1, saved=True, idle=True):
        folder = self.folders / job_id
        folder.mkdir(parents=True)
        (folder / "train.log").write_text("line")
        if mark is not None:
            write_json(folder / MARK, mark)
        if saved:
            self.bucket.push(folder / "train.log")
        if idle:
            os.utime(folder, (time.time() - 90_000,) * 2)

    def clear(self, *ended):
        clear(self.database, self.bucket, *(self.folders / job_id for job_id in ended))

    def left(self):
        return {folder.name for folder in self.folders.iterdir()}


@pytest.fixture
def here(host, database):
    return Host(host("here"), database)


def test_the_folder_of_a_job_goes_when_it_has_ended(here):
    ended, running = here.add_job(JobStatus.SUCCEEDED), here.add_job()
    for job_id in (ended, running):
        here.add_folder(job_id, idle=False)
        here.clear(job_id)
    assert here.left() == {running}


def test_what_was_not_used_for_a_day_goes_if_the_bucket_has_it(here):
    saved, unsaved = here.add_job(JobStatus.FAILED), here.add_job(JobStatus.FAILED)
    recent, unmarked = here.add_job(JobStatus.FAILED), here.add_job(JobStatus.FAILED)
    here.add_folder(saved)
    here.add_folder(unsaved, saved=False)
    here.add_folder(recent, idle=False)
    here.add_folder(unmarked, mark=None, saved=False)  # older than the bucket
    here.clear()
    assert here.left() == {unsaved, recent, unmarked}


def test_what_another_host_went_on_from_goes_though_the_bucket_has_others(here):
    stale, fetched = here.add_job(JobStatus.FAILED), here.add_job(JobStatus.FAILED)
    here.add_folder(stale, mark=0, saved=False)
    here.add_folder(fetched, mark=0, saved=False)
    gone = "job_" + "0" * 26
    here.add_folder(gone, saved=False)  # its user has deleted it
    here.clear()
    assert here.left() == set()


def test_what_a_running_job_works_in_or_reads_stays(here):
    read = here.add_job(JobStatus.SUCCEEDED)
    running = here.add_job(config={"weights": f"artifact:jobs/{read}/final/encoder.safetensors"})
    for job_id in (read, running):
        here.add_folder(job_id)
    here.clear()
    assert here.left() == {read, running}


def test_what_a_running_job_reads_stays_though_its_own_has_just_ended(here):
    read = here.add_job(JobStatus.SUCCEEDED)
    here.add_job(config={"weights": f"artifact:jobs/{read}/final/encoder.safetensors"})
    here.add_folder(read, idle=False)
    here.clear(read)
    assert here.left() == {read}


def test_what_is_used_while_it_is_looked_at_stays(here, monkeypatch):
    job_id = here.add_job(JobStatus.FAILED)
    here.add_folder(job_id)
    monkeypatch.setattr("worker.cache.lacks", lambda _, folder: use_folder(folder))
    here.clear()
    assert here.left() == {job_id}


def test_a_bucket_that_is_away_is_for_the_next_time(here, away):
    job_id = here.add_job(JobStatus.FAILED)
    here.add_folder(job_id)
    away()
    here.clear()
    assert here.left() == {job_id}


def test_embedding_clears_when_it_fetches(here):
    job_id, other = here.add_job(JobStatus.FAILED), here.add_job(JobStatus.SUCCEEDED)
    here.add_folder(job_id)
    weights = here.folders / other / "final/encoder.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    here.bucket.push(weights)
    weights.unlink()
    assert weights_here(here.database, here.bucket, str(weights)) == str(weights)
    assert here.left() == {other}
