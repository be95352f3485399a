import os
import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect, select, text
from sqlalchemy.exc import IntegrityError

from service.store import migrate, queries
from service.store.models import LOCAL_USER_ID, Attempt, Base
from service.store.session import Database, make_engine
from service.store.status import JobStatus, allowed

REPOSITORY = Path(migrate.__file__).parents[2]
LATEST = migrate.latest_revision()


@pytest.fixture
def empty_database(empty_database_url):
    database = Database(empty_database_url)
    yield database
    database.close()


@pytest.fixture
def next_migrations(tmp_path, monkeypatch):
    """Adds migrations that do this, one after the other, to a copy of the migrations."""

    def add(*steps):
        copy = tmp_path / "migrations"
        shutil.copytree(migrate.MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for number, step in enumerate(steps, int(LATEST) + 1):
            source = (
                "import sqlalchemy as sa\n"
                "from alembic import op\n"
                f"revision, down_revision = '{number:04}', '{number - 1:04}'\n"
                f"def upgrade():\n    {step}\n"
            )
            (copy / "versions" / f"{number:04}.py").write_text(source)
        monkeypatch.setattr(migrate, "MIGRATIONS", copy)

    return add


def test_upgrade_makes_exactly_the_tables_of_the_models(empty_database_url, empty_database):
    migrate.upgrade(empty_database_url)
    with empty_database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_upgrade_makes_the_check_constraints_of_the_models(empty_database_url, empty_database):
    migrate.upgrade(empty_database_url)
    inspector = inspect(empty_database.engine)
    for table in Base.metadata.sorted_tables:
        wanted = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        assert {c["name"] for c in inspector.get_check_constraints(table.name)} == wanted
    assert len(inspector.get_check_constraints("jobs")) == 5


def test_upgrade_twice_is_upgrade_once(empty_database_url):
    migrate.upgrade(empty_database_url)
    migrate.upgrade(empty_database_url)
    assert migrate.is_current(empty_database_url)


def test_downgrade_to_base_removes_every_table_and_upgrade_makes_them_again(database_url, database):
    migrate.downgrade(database_url, "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    assert migrate.current_revision(database_url) is None
    migrate.upgrade(database_url)
    assert set(inspect(database.engine).get_table_names()) > set(Base.metadata.tables)


def test_the_revision_says_whether_the_tables_are_there(empty_database_url):
    assert migrate.current_revision(empty_database_url) is None
    assert not migrate.is_current(empty_database_url)
    migrate.upgrade(empty_database_url)
    assert migrate.current_revision(empty_database_url) == migrate.latest_revision() == LATEST


def test_the_names_of_migrations_say_their_order():
    scripts = ScriptDirectory(str(migrate.MIGRATIONS)).walk_revisions()
    assert migrate.known_revisions() == tuple(script.revision for script in scripts)[::-1]


def test_an_upgrade_that_fails_leaves_nothing_behind(database_url, database, next_migrations):
    next_migrations(
        "op.create_table('first', sa.Column('id', sa.Integer()))",
        "op.create_table('second', sa.Column('id', sa.Integer())); raise OSError('on purpose')",
    )
    with pytest.raises(OSError, match="on purpose"):
        migrate.upgrade(database_url)
    assert not {"first", "second"} & set(inspect(database.engine).get_table_names())
    assert migrate.current_revision(database_url) == LATEST


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_making_a_table_anew_keeps_the_rows_that_refer_to_it(
    database_url, add_job, read_events, next_migrations
):
    job_id = add_job()
    next_migrations(
        "with op.batch_alter_table('jobs', recreate='always') as jobs:"
        " jobs.alter_column('name', type_=sa.String(300))"
    )
    migrate.upgrade(database_url)
    assert [event.message for event in read_events(job_id)] == ["queued"]


def test_processes_that_upgrade_at_the_same_time_wait_for_each_other(empty_database_url):
    code = """if True:
        import os, sys
        from service.store.migrate import upgrade

        def child():
            if process := os.fork():
                return process
            upgrade(sys.argv[1])
            os._exit(0)

        children = [child() for _ in range(4)]
        sys.exit(any(os.waitpid(process, 0)[1] for process in children))
    """
    start = [sys.executable, "-c", code, empty_database_url]
    done = subprocess.run(start, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert migrate.is_current(empty_database_url)


@pytest.mark.parametrize("empty_database_url", ["sqlite"], indirect=True)
def test_the_alembic_command_migrates_the_database_of_the_settings(empty_database_url):
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=REPOSITORY,
        env=os.environ | {"PAKA_DATABASE_URL": empty_database_url},
        check=True,
    )
    assert migrate.is_current(empty_database_url)


def test_upgrade_makes_the_folder_of_a_sqlite_file(tmp_path):
    url = f"sqlite:///{tmp_path}/new/home/paka.db"
    migrate.upgrade(url)
    assert migrate.is_current(url)


def test_alembic_prints_the_sql_of_a_migration(capsys):
    command.upgrade(migrate._config("postgresql://host/name"), "head", sql=True)
    sql = capsys.readouterr().out
    assert "CREATE TABLE job_events" in sql
    assert "TIMESTAMP WITH TIME ZONE" in sql


def test_a_generated_migration_imports_nothing_of_the_service(tmp_path, monkeypatch):
    copy = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, copy, ignore=shutil.ignore_patterns("versions"))
    (copy / "versions").mkdir()
    monkeypatch.setattr(migrate, "MIGRATIONS", copy)
    url = f"sqlite:///{tmp_path}/new.db"
    script = command.revision(migrate._config(url), "all", autogenerate=True)
    assert "service" not in Path(script.path).read_text()
    migrate.upgrade(url)
    engine = make_engine(url)
    assert set(inspect(engine).get_table_names()) > set(Base.metadata.tables)
    engine.dispose()


def test_the_database_refuses_an_unknown_status(database, add_job):
    job_id = add_job()
    with pytest.raises(IntegrityError, match="jobs_status"), database.write() as session:
        session.execute(
            text("UPDATE jobs SET status = 'lost' WHERE id = :job"),
            {"job": job_id},
        )


@pytest.mark.parametrize(("status", "owner"), [("running", None), ("queued", "worker-1")])
def test_the_database_refuses_a_lease_that_does_not_match_the_status(
    database, add_job, status, owner
):
    job_id = add_job()
    change = text("UPDATE jobs SET status = :status, lease_owner = :owner WHERE id = :job")
    values = {"status": status, "owner": owner, "job": job_id}
    with pytest.raises(IntegrityError, match="ck_jobs_lease"), database.write() as session:
        session.execute(change, values)


@pytest.mark.parametrize(("before", "after"), list(permutations(JobStatus, 2)))
def test_the_database_refuses_what_is_no_transition(database, add_job, before, after):
    """The trigger of the migrations says the same as the table in `service.store.status`."""
    job_id = add_job()
    with database.write() as session:
        session.execute(text("DELETE FROM jobs"))
        session.execute(text(JOB), {"id": job_id, **row(before)})
    change = text("UPDATE jobs SET status = :status, lease_owner = :owner")
    if (before, after) in allowed():
        with database.write() as session:
            session.execute(change, row(after))
    else:
        with pytest.raises(IntegrityError, match="jobs_status"), database.write() as session:
            session.execute(change, row(after))


@pytest.mark.parametrize("status", ["queued", "running", "failed"])
def test_jobs_from_before_there_were_users_are_kept(empty_database_url, empty_database, status):
    migrate.upgrade(empty_database_url, "0001")
    with empty_database.write() as session:
        session.execute(text(JOB_0001), row(status))
        session.execute(text(EVENT_0001))
    migrate.upgrade(empty_database_url)
    with empty_database.read() as session:
        job = queries.job_by_id(session, "job_1")
        events = queries.events_after(session, "job_1", 0)
        attempts = session.scalars(select(Attempt)).all()
    assert (job.status, job.user_id, job.visibility, job.slots) == (status, LOCAL_USER_ID, "lab", 1)
    assert (job.config, job.queued_at) == ({"seed": 7}, job.created_at)
    assert [event.message for event in events] == ["kept"]
    assert [row.owner for row in attempts] == (["worker-1"] if status == "running" else [])
    migrate.downgrade(empty_database_url, "0001")
    with empty_database.read() as session:
        assert session.execute(text("SELECT id, status FROM jobs")).all() == [("job_1", status)]


JOB_0001 = """
    INSERT INTO jobs (id, kind, status, config, request_sha256, attempt, lost_attempts, lease_owner,
        cancel_requested, created_at, started_at)
    VALUES ('job_1', 'train', :status, '{"seed": 7}', '', 1, 0, :owner, false,
        '2026-11-24 10:00:00+00:00', '2026-11-24 10:00:00+00:00')
"""
EVENT_0001 = """
    INSERT INTO job_events (job_id, attempt, time, level, type, message)
    VALUES ('job_1', 1, '2026-11-24 10:00:00+00:00', 'info', 'message', 'kept')
"""
JOB = """
    INSERT INTO jobs (id, user_id, visibility, kind, status, config, request_sha256, pinned,
        priority, slots, queued_at, attempt, lost_attempts, lease_owner, cancel_requested,
        preempt_requested, created_at)
    VALUES (:id, 'usr_local', 'lab', 'train', :status, '{}', '', false, 1, 1,
        '2026-11-24 10:00:00+00:00', 1, 0, :owner, false, false, '2026-11-24 10:00:00+00:00')
"""


def row(status):
    return {"status": status, "owner": "worker-1" if status == "running" else None}
