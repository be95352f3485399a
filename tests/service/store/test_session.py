import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from service.store import attempts, jobs, queries
from service.store.models import Checkpoint, Job, JobEvent
from service.store.session import is_away, make_engine


def test_an_error_rolls_everything_back(database, add_job, read_events):
    job_id = add_job()
    with pytest.raises(RuntimeError), database.write() as session:
        jobs.cancel(session, job_id)
        raise RuntimeError
    assert [event.message for event in read_events(job_id)] == ["queued"]


def test_a_read_session_writes_nothing(database, add_job, read_job):
    job_id = add_job()
    with database.read() as session:
        session.get_one(Job, job_id).name = "changed"
        session.flush()
    assert read_job(job_id).name is None


def test_a_reader_neither_waits_for_a_writer_nor_sees_what_is_not_committed(database, add_job):
    with database.write() as writer:
        jobs.create(writer, "train", {}, request_sha256="0" * 64)
        with database.read() as reader:
            assert queries.jobs_page(reader, 10) == []
    with database.read() as reader:
        assert len(queries.jobs_page(reader, 10)) == 1


def test_many_writers_take_turns(database, add_job, read_events):
    job_id = add_job()
    everyone = threading.Barrier(4)

    def write(writer):
        everyone.wait()
        for number in range(50):
            with database.write() as session:
                # Reads before it writes: without the write lock from the start, SQLite would
                # refuse this at once when another writer came in between.
                job = session.get_one(Job, job_id, with_for_update=True)
                job.attempt += 1
                session.add(
                    JobEvent(job_id=job_id, attempt=writer, type="message", message=str(number))
                )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    events = read_events(job_id)[1:]
    assert len(events) == 200
    assert sorted(int(event.message) for event in events) == sorted([*range(50)] * 4)
    with database.read() as session:
        assert session.get_one(Job, job_id).attempt == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_uses_a_write_ahead_log(database):
    with database.read() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"


def test_a_row_must_belong_to_a_job(database):
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(JobEvent(job_id="job_none", attempt=0, type="message", message="?"))


def test_times_keep_their_instant_and_come_back_in_utc(database, add_job):
    job_id = add_job()
    made = datetime(2026, 3, 29, 2, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with database.write() as session:
        session.add(Checkpoint(job_id=job_id, step=1, path="p", files={}, bytes=0, created_at=made))
    with database.read() as session:
        read = session.scalars(select(Checkpoint.created_at)).one()
        assert read == made
        assert read.tzinfo is UTC
        assert session.scalars(select(Checkpoint).where(Checkpoint.created_at == made)).one()


def test_numbers_that_json_does_not_have_become_null(database, add_job, read_job):
    nan, infinity = float("nan"), float("inf")
    job_id = add_job(config={"lr": nan, "deep": [{"norm": -infinity}, (1.5, infinity)], "n": 3})
    assert read_job(job_id).config == {"lr": None, "deep": [{"norm": None}, [1.5, None]], "n": 3}


def test_none_in_a_json_column_is_null_in_the_database(database, add_job):
    with database.write() as session:
        jobs.cancel(session, add_job())  # sets `error` to None
    with database.read() as session:
        assert session.scalars(select(Job).where(Job.error.is_(None))).one().error is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_urls_of_every_form_use_psycopg_3(scheme):
    engine = make_engine(f"{scheme}://user@host/name")
    assert engine.url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_process_that_hangs_within_a_transaction_holds_nobody_up(database, add_job):
    job_id = add_job()
    with database.write() as hanging:
        hanging.execute(text("SET idle_in_transaction_session_timeout = '100ms'"))
        jobs.cancel(hanging, job_id)
        with database.write() as session:
            assert attempts.claim(session, job_id, "worker-1", 60)
        with pytest.raises(DBAPIError) as caught:
            hanging.execute(text("SELECT 1"))
        assert is_away(caught.value)
        hanging.rollback()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_session_has_an_end_to_its_patience(database):
    with database.read() as session:
        for setting in ("lock_timeout", "idle_in_transaction_session_timeout"):
            assert session.scalar(text(f"SHOW {setting}")) == "15s"
