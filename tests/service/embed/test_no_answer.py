"""Workers that are away, busy, silent, of another version, or that fail."""

import pytest

from service.app import create_app
from service.store.contract import EMBED_PENDING_KEY, worker_key
from tests.service.embed.asking import ENCODER, ask

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_without_a_worker_the_client_is_told_to_come_back(api, halves, snapshot, assert_problem):
    before = snapshot()
    response = ask(api, halves)
    assert_problem(response, 503, "no_embed_worker")
    assert int(response.headers["retry-after"]) > 0
    assert snapshot() == before


def test_without_redis_the_client_is_told_to_come_back(
    settings, serving, halves, tmp_path, assert_problem
):
    settings = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/none.sock"})
    with serving(create_app(settings)) as api:
        response = ask(api, halves)
        assert_problem(response, 503, "queue_unavailable")
        assert int(response.headers["retry-after"]) > 0


def test_a_full_queue_refuses_more(settings, serving, redis, halves, snapshot, assert_problem):
    redis.set(worker_key("embed", "busy"), "{}")
    redis.rpush(EMBED_PENDING_KEY, b"1", b"2")
    before = snapshot()
    settings = settings.model_copy(update={"embed_queue_limit": 2})
    with serving(create_app(settings)) as api:
        response = ask(api, halves)
    assert_problem(response, 429, "embed_queue_full")
    assert int(response.headers["retry-after"]) > 0
    assert snapshot() == before


def test_a_request_without_an_answer_times_out_and_waits_no_longer(
    settings, serving, redis, halves, assert_problem
):
    redis.set(worker_key("embed", "stuck"), "{}")
    settings = settings.model_copy(update={"embed_timeout_seconds": 0.5})
    with serving(create_app(settings)) as api:
        assert_problem(ask(api, halves), 504, "embed_timeout")
    assert redis.llen(EMBED_PENDING_KEY) == 0


@pytest.mark.parametrize(
    ("code", "status"), [("encoder_unavailable", 422), ("out_of_memory", 503), ("internal", 500)]
)
def test_a_workers_error_becomes_a_problem(api, worker, halves, assert_problem, code, status):
    worker.error = (code, "why it could not be done")
    response = ask(api, halves)
    assert assert_problem(response, status, code) == "why it could not be done"
    assert ("retry-after" in response.headers) == (status == 503)


def test_a_worker_of_another_version_is_no_time_out(api, worker, jpeg, assert_problem):
    worker.contract += 1
    response = api.post("/embed", files={"images": jpeg}, data={"encoder": ENCODER})
    detail = assert_problem(response, 503, "worker_outdated")
    assert "update the older of the two" in detail
    assert int(response.headers["retry-after"]) > 0
    worker.error = ("worker_outdated", "update the worker")
    response = api.post("/embed", files={"images": jpeg}, data={"encoder": ENCODER})
    assert_problem(response, 503, "worker_outdated")
