import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from service.backup.create import backup
from service.store import jobs, migrate
from service.store.base import utc_now
from service.store.models import Encoder
from service.store.session import Database
from service.store.settings import Settings
from service.store.status import JobStatus

ROWS = Path(__file__).parents[1] / "store" / "revisions"


def describe(content):
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


class Service:
    """A home and a database with jobs in them, and no process."""

    def __init__(self, home, url):
        self.settings = Settings(home=home, database_url=url)
        self.database = Database(url)

    def add_job(self, *steps, status=None, config=None):
        """Add a job with checkpoints at `steps`, claimed; `status` ends it. Return its id."""
        with self.database.write() as session:
            job_id = jobs.create(session, "train", config or {}, request_sha256="0" * 64).id
            lease = jobs.claim(session, job_id, "worker-1", 60)
        self.write(f"jobs/{job_id}/train.log", b"a line\n")
        for step in steps:
            self.add_checkpoint(lease, step)
        if status is not None:
            with self.database.write() as session:
                jobs.finish(session, lease, status)
        return job_id

    def add_checkpoint(self, lease, step):
        path = f"jobs/{lease.job_id}/checkpoints/step-{step:08d}"
        files = {"encoder.safetensors": b"weights", "state.pt": b"state at %d" % step}
        about = {name: describe(content) for name, content in files.items()}
        meta = json.dumps({"step": step, "files": about}).encode()
        for name, content in (*files.items(), ("meta.json", meta)):
            self.write(f"{path}/{name}", content)
        with self.database.write() as session:
            jobs.add_checkpoint(session, lease, step, path, about, utc_now())

    def add_encoder(self, job_id, content=b"the result"):
        path = f"jobs/{job_id}/final/encoder.safetensors"
        self.write(path, content)
        with self.database.write() as session:
            encoder = Encoder(
                id=f"enc_{job_id}",
                job_id=job_id,
                architecture="test_vit",
                base=f"test_vit@{self.settings.artifacts_folder}/jobs/{job_id}/x.safetensors",
                path=path,
                steps=60,
                **describe(content),
            )
            jobs.add_encoder(session, encoder)

    def write(self, path, content):
        file = self.settings.artifacts_folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def files(self):
        """Content of every file below artifacts and uploads, by path."""
        folders = (self.settings.artifacts_folder, self.settings.uploads_folder)
        return {
            str(path.relative_to(folder.parent)): path.read_bytes()
            for folder in folders
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def tables(self, folder):
        """The rows of every table as lines, as a backup holds them."""
        archive = Path(folder) / "tables.tar"
        backup(self.settings, archive)
        with tarfile.open(archive) as tar:
            names = [name for name in tar.getnames() if name.startswith("tables/")]
            return {name: tar.extractfile(name).read().decode() for name in names}


@pytest.fixture
def make_service(tmp_path):
    """Makes services; each has a home of its own."""
    made = []

    def make(name, url):
        home = tmp_path / name
        home.mkdir()
        made.append(Service(home, url))
        return made[-1]

    yield make
    for service in made:
        service.database.close()


@pytest.fixture
def full(make_service, database_url):
    """A service with jobs in several statuses, an encoder, an upload and a secret."""
    service = make_service("full", database_url)
    done = service.add_job(10, 20, status=JobStatus.SUCCEEDED)
    service.add_encoder(done)
    service.add_job(10, status=JobStatus.CANCELLED)
    service.add_job(30, 40)
    folder = service.settings.uploads_folder / "birds"
    folder.mkdir(parents=True)
    (folder / "größe.jpg").write_bytes(b"pixels")
    (service.settings.home / "secret.key").write_text("hush")
    return service


@pytest.fixture
def empty(make_service, sqlite_template, tmp_path):
    """A service without anything, on SQLite."""
    shutil.copyfile(sqlite_template, tmp_path / "empty.db")
    return make_service("empty", f"sqlite:///{tmp_path}/empty.db")


def fill(database, url, revision):
    """Bring an empty database to a revision, with the rows of all revisions until then."""
    for step in migrate.known_revisions():
        migrate.upgrade(url, step)
        if (file := ROWS / f"{step}.sql").exists():
            with database.write() as session:
                if database.engine.dialect.name == "postgresql":
                    session.connection().exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
                for statement in file.read_text().split(";\n"):
                    session.connection().exec_driver_sql(statement)
        if step == revision:
            return


@pytest.fixture
def filled():
    """The function `fill`."""
    return fill
