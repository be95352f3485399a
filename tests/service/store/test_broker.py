import pytest
from kombu.exceptions import OperationalError

from service.store.broker import make_celery, make_redis, waiting_job_ids
from service.store.contract import EMBED_QUEUE, EMBED_TASK, JOBS_QUEUE, RUN_JOB_TASK

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def celery(settings):
    with make_celery(settings) as app:
        yield app


def test_a_sent_job_waits_in_the_queue_until_a_worker_takes_it(celery, redis):
    assert waiting_job_ids(redis) == set()
    for job_id in ("job_1", "job_2", "job_1"):
        celery.send_task(RUN_JOB_TASK, args=[job_id], task_id=job_id)
    assert waiting_job_ids(redis) == {"job_1", "job_2"}
    taken = []
    with celery.connection_for_read() as connection, connection.SimpleQueue(JOBS_QUEUE) as queue:
        for _ in range(3):
            message = queue.get(timeout=5)
            taken.append((message.headers["task"], message.payload[0]))
            message.ack()
    assert taken == [(RUN_JOB_TASK, [job_id]) for job_id in ("job_1", "job_2", "job_1")]
    assert waiting_job_ids(redis) == set()


def test_embedding_wakes_its_own_queue(celery, redis):
    celery.send_task(EMBED_TASK)
    assert redis.llen(EMBED_QUEUE) == 1
    assert waiting_job_ids(redis) == set()


def test_sending_to_a_broker_that_is_away_fails_soon(settings):
    away = settings.model_copy(update={"redis_url": f"unix://{settings.home}/none.sock"})
    with make_celery(away) as app, pytest.raises(OperationalError):
        app.send_task(RUN_JOB_TASK, args=["job_1"], task_id="job_1")


def test_the_client_gives_raw_bytes(settings):
    with make_redis(settings) as client:
        client.rpush("list", b"\x00\xff")
        assert client.lpop("list") == b"\x00\xff"
