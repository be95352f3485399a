from datetime import timedelta

import pytest

from service.store import attempts, jobs, queries
from service.store.base import utc_now
from service.store.models import LOCAL_USER_ID, Encoder
from service.store.status import JobStatus
from service.store.transitions import NewEvent


@pytest.fixture
def read(database):
    """Asks one query."""

    def read(query, *arguments, **filters):
        with database.read() as session:
            return query(session, *arguments, **filters)

    return read


def ids(rows):
    return [row.id for row in rows]


def test_a_job_is_found_by_its_id_and_by_its_idempotency_key(read, add_job):
    job_id = add_job(idempotency_key="key")
    find = queries.job_by_idempotency_key
    assert read(queries.job_by_id, job_id).id == job_id
    assert read(find, LOCAL_USER_ID, "key").id == job_id
    assert read(find, "usr_other", "key") is None
    assert read(queries.job_by_id, "job_none") is None
    assert read(find, LOCAL_USER_ID, "none") is None


def test_pages_of_jobs_go_from_new_to_old_and_miss_none(read, add_job):
    added = sorted((add_job() for _ in range(7)), reverse=True)
    pages = [ids(read(queries.jobs_page, 3))]
    while pages[-1]:
        pages.append(ids(read(queries.jobs_page, 3, after=pages[-1][-1])))
    assert pages == [added[:3], added[3:6], added[6:], []]


def test_jobs_are_filtered_by_kind_and_status(database, read, add_job, start_job):
    queued, embedding = add_job(kind="train"), add_job(kind="embed")
    running = start_job().job_id
    assert ids(read(queries.jobs_page, 9, kind="embed")) == [embedding]
    assert ids(read(queries.jobs_page, 9, status=JobStatus.RUNNING)) == [running]
    assert ids(read(queries.jobs_page, 9, kind="train", status=JobStatus.QUEUED)) == [queued]
    assert read(queries.jobs_page, 9, kind="embed", status=JobStatus.FAILED) == []


def test_jobs_are_searched_for_words_in_what_describes_them(read, add_job):
    trained = add_job(
        name="First 100%", config={"dataset": "/data/Photos", "encoder": {"a": "vit"}}
    )
    compared = add_job(kind="evaluate", config={"dataset": "/data/camvid", "encoders": ["mae"]})
    unnamed = add_job()

    def found(search, **filters):
        return ids(read(queries.jobs_page, 9, search=search, **filters))

    assert found("photos") == found("first vit") == found("0%  TRAIN") == [trained]
    assert found("MAE") == found("camvid") == found("evaluate mae") == [compared]
    assert found(unnamed[-10:]) == [unnamed]
    assert found("local") == found("") == found(" ") == [unnamed, compared, trained]
    assert found("data", kind="train") == [trained]
    assert found("first mae") == found("0_%") == found("%rst") == found("'") == []


def test_running_jobs_are_those_that_a_worker_has(read, add_job, start_job):
    add_job()
    lease = start_job()
    assert ids(read(queries.running_jobs)) == [lease.job_id]


def test_queued_jobs_are_found_that_have_no_recent_message(database, read, add_job, start_job):
    never, old = add_job(), add_job()
    start_job()
    with database.write() as session:
        jobs.mark_enqueued(session, [old])
    between = utc_now()
    recent = add_job()
    with database.write() as session:
        jobs.mark_enqueued(session, [recent])
    found = read(queries.queued_jobs_without_recent_message, between, utc_now())
    assert found == sorted([never, old])


def test_a_message_sent_in_the_future_is_not_recent(database, read, add_job):
    job_id = add_job()
    with database.write() as session:
        jobs.mark_enqueued(session, [job_id])
    set_back = utc_now() - timedelta(hours=1)
    earlier = set_back - timedelta(seconds=30)
    found = read(queries.queued_jobs_without_recent_message, earlier, set_back)
    assert found == [job_id]


def test_events_go_on_after_the_last_one_seen(database, read_events, start_job):
    lease, other = start_job(), start_job()
    with database.write() as session:
        attempts.record(session, lease, 60, [NewEvent("message", str(n)) for n in range(5)])
        attempts.record(session, other, 60, [NewEvent("message", "of another job")])
    events = read_events(lease.job_id)
    assert [event.message for event in events] == ["queued", "running", *"01234"]
    assert ids(events) == sorted(ids(events))
    assert ids(read_events(lease.job_id, after=events[3].id)) == ids(events)[4:]
    with database.read() as session:
        assert ids(queries.events_after(session, lease.job_id, 0, limit=2)) == ids(events)[:2]


def test_metrics_of_a_step_done_twice_are_the_later_attempts(database, read, start_job):
    lease, other = start_job(), start_job()

    def metrics(attempt, steps):
        return [NewEvent("metrics", "", {"attempt": attempt}, step) for step in steps]

    with database.write() as session:
        attempts.record(session, lease, 60, [*metrics(1, [1, 2, 3, 4]), NewEvent("message", "m")])
        attempts.record(session, other, 60, metrics(7, [1, 2, 3, 4, 5, 6]))
        attempts.requeue(session, lease, "worker stops")
        again = attempts.claim(session, lease.job_id, "worker-2", 60)
        attempts.record(session, again, 60, metrics(2, [3, 4, 5]))

    def page(limit, **after):
        found = read(queries.metrics_page, lease.job_id, limit, **after)
        return [(event.step, event.data["attempt"]) for event in found]

    assert page(10) == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]
    assert page(2) == [(1, 1), (2, 1)]
    assert page(2, after_step=2) == [(3, 2), (4, 2)]
    assert page(2, after_step=5) == []


def test_encoders_are_found_by_id_by_job_and_in_pages(database, read, add_job):
    made = []
    for number in range(3):
        job_id = add_job()
        made.append((f"enc_{number}", job_id))
        fields = {"architecture": "a", "base": "b", "path": "p", "sha256": "0", "bytes": 1}
        with database.write() as session:
            encoder = Encoder(id=f"enc_{number}", job_id=job_id, steps=1, **fields)
            attempts.add_encoder(session, encoder)
    assert ids(read(queries.encoders_page, 9, search="ENC 2")) == ["enc_2"]
    assert ids(read(queries.encoders_page, 9, search="b")) == ["enc_2", "enc_1", "enc_0"]
    assert read(queries.encoders_page, 9, search="enc other") == []
    assert read(queries.encoder_by_id, "enc_1").job_id == made[1][1]
    assert read(queries.encoder_of_job, made[2][1]).id == "enc_2"
    assert read(queries.encoder_by_id, "enc_9") is None
    assert read(queries.encoder_of_job, "job_none") is None
    assert ids(read(queries.encoders_page, 2)) == ["enc_2", "enc_1"]
    assert ids(read(queries.encoders_page, 2, after="enc_1")) == ["enc_0"]
