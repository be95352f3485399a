import shutil
from pathlib import Path

import pytest

from service.store import migrate
from service.store.status import JobStatus

ROWS = Path(__file__).parents[1] / "store" / "revisions"


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
