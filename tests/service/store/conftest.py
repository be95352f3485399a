import pytest

from service.store import attempts, jobs, queries
from service.store.models import Encoder

LEASE_SECONDS = 60


def encoder(job_id, encoder_id="enc_1", **values):
    fields = {
        "architecture": "vit_tiny_patch16_224",
        "base": "vit_tiny_patch16_224@random",
        "path": f"jobs/{job_id}/final/encoder.safetensors",
        "sha256": "0" * 64,
        "bytes": 1,
        "steps": 1,
    }
    return Encoder(id=encoder_id, job_id=job_id, **fields | values)


@pytest.fixture
def add_job(database):
    """Adds a queued job; returns its id."""

    def add(**values):
        with database.write() as session:
            fields = {"kind": "train", "config": {}, "request_sha256": "0" * 64} | values
            return jobs.create(session, **fields).id

    return add


@pytest.fixture
def start_job(database, add_job):
    """Adds a job and claims it; returns the lease."""

    def start(job_id=None, owner="worker-1", lease_seconds=LEASE_SECONDS):
        with database.write() as session:
            return attempts.claim(session, job_id or add_job(), owner, lease_seconds)

    return start


@pytest.fixture
def read_job(database):
    """Returns the job as it is in the database now, or None."""

    def read(job_id):
        with database.read() as session:
            return queries.job_by_id(session, job_id)

    return read


@pytest.fixture
def read_events(database):
    """Returns the job's events in order."""

    def read(job_id, after=0):
        with database.read() as session:
            return queries.events_after(session, job_id, after)

    return read


@pytest.fixture
def path_of(read_events):
    """Returns the statuses that the job has gone through, by its events."""

    def path(job_id):
        return [event.message for event in read_events(job_id) if event.type == "status"]

    return path


@pytest.fixture
def end_job(database, start_job):
    """Runs a job to an end; returns its id."""

    def end(status, job_id=None):
        lease = start_job(job_id)
        with database.write() as session:
            attempts.finish(session, lease, status)
        return lease.job_id

    return end


@pytest.fixture
def lose_job(database):
    """Loses the job's current attempt."""

    def lose(job_id, max_attempts=3):
        with database.write() as session:
            job = queries.job_by_id(session, job_id)
            return attempts.lose(session, job, "no heartbeat", max_attempts)

    return lose
