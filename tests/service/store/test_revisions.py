"""From every earlier revision, with rows in every table, to this version and on with the work.

`revisions/<number>.sql` adds the rows that the tables of that revision can hold for the first time,
with times as SQLAlchemy writes them to SQLite, in UTC.
A new migration brings such a file along.
"""

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, text

from service.store import attempts, jobs, migrate, queries
from service.store.base import utc_now
from service.store.models import Base
from service.store.session import Database
from service.store.status import JobStatus

ROWS = Path(__file__).parent / "revisions"
SCRIPTS = ScriptDirectory(str(migrate.MIGRATIONS))
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()][::-1]


@pytest.fixture
def filled(empty_database_url):
    """Makes a database of a revision with the rows of all revisions until then."""
    database = Database(empty_database_url)

    def fill(revision):
        for step in REVISIONS[: REVISIONS.index(revision) + 1]:
            migrate.upgrade(empty_database_url, step)
            if (file := ROWS / f"{step}.sql").exists():
                with database.write() as session:
                    if database.engine.dialect.name == "postgresql":
                        session.execute(text("SET LOCAL TIME ZONE 'UTC'"))
                    for statement in file.read_text().split(";\n"):
                        session.connection().exec_driver_sql(statement)
        return database

    yield fill
    database.close()


def contents(database):
    """All rows by table, as the database holds them, each as a dict."""
    metadata = MetaData()
    with database.engine.connect() as connection:
        metadata.reflect(connection)
        return {
            table.name: [
                dict(row)
                for row in connection.execute(
                    text(f"SELECT * FROM {table.name} ORDER BY 1")
                ).mappings()
            ]
            for table in metadata.sorted_tables
            if table.name != "alembic_version"
        }


def assert_kept(before, after):
    """Every row is there with the values that it had, where both have the column."""
    for table in before.keys() & after.keys():
        key = next(iter(inspect(Base.metadata.tables[table]).primary_key)).name
        now = {row[key]: row for row in after[table]}
        for row in before[table]:
            same = now[row[key]]
            assert {k: v for k, v in row.items() if k in same} == {
                k: v for k, v in same.items() if k in row
            }


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_upgrade_keeps_the_data_and_the_work_goes_on(filled, empty_database_url, revision):
    database = filled(revision)
    before = contents(database)
    migrate.upgrade(empty_database_url)
    assert_kept(before, contents(database))

    with database.write() as session:
        lease = attempts.claim(session, "job_queued", "worker-1", lease_seconds=60)
        attempts.record(session, lease, 60, progress={"step": 1})
        attempts.add_checkpoint(
            session, lease, 1, "p", {"a": {"bytes": 3, "sha256": ""}}, utc_now()
        )
        attempts.finish(session, lease, JobStatus.SUCCEEDED)
        for job in queries.running_jobs(session):
            assert attempts.lose(session, job, "gone", 5)
        jobs.resume(session, "job_failed")
    with database.read() as session:
        page = queries.jobs_page(session, 100)
        statuses = {job.id: str(job.status) for job in page}
        messages = [event.message for event in queries.events_after(session, "job_queued", 0)]
        assert queries.encoder_by_id(session, "enc_1").bytes == 5_000_000_000
        assert queries.encoders_page(session, 10)[0].job_id == "job_succeeded"
        sizes = {
            row.job_id: row.bytes
            for name in ("job_queued", "job_succeeded")
            for row in queries.checkpoints_of(session, name)
        }
    assert sizes == {"job_queued": 3, "job_succeeded": 16}
    assert messages == ["running", "checkpoint at step 1", "succeeded"]
    expected = {"job_queued": "succeeded", "job_running": "cancelled", "job_failed": "queued"}
    assert expected.items() <= statuses.items()
    with database.write() as session:
        jobs.delete(session, "job_cancelled")


@pytest.mark.parametrize("revision", REVISIONS[1:])
def test_a_step_back_and_forth_keeps_what_it_can(filled, empty_database_url, revision):
    database = filled(revision)
    before = contents(database)
    migrate.downgrade(empty_database_url, "-1")
    assert_kept(contents(database), before)
    assert {row["id"] for row in contents(database)["jobs"]} == {
        row["id"] for row in before["jobs"]
    }
    migrate.upgrade(empty_database_url, revision)
    after = contents(database)
    assert after.keys() == before.keys()
    assert [row["status"] for row in after["jobs"]] == [row["status"] for row in before["jobs"]]
    with pytest.raises(Exception, match="jobs_status"), database.write() as session:
        session.execute(text("UPDATE jobs SET status = 'queued' WHERE status = 'succeeded'"))


def test_the_rows_fill_every_column(filled):
    """So that a new migration is tested with rows: add `revisions/<number>.sql` with it."""
    rows = contents(filled(REVISIONS[-1]))
    empty = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if all(row[column.name] is None for row in rows[table.name])
    }
    assert empty == set()
