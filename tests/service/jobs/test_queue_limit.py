from concurrent.futures import ThreadPoolExecutor

import pytest

from service.app import create_app
from service.store import attempts
from service.store.status import JobStatus

LIMIT = 3
TINY = {"preset": "tiny", "dataset": "photos"}
REQUESTS = {
    "/train": TINY,
    "/embed": {"dataset": "photos", "encoder": "test_vit@random"},
    "/evaluate": {"dataset": "labelled", "encoders": ["test_vit@random"]},
}


@pytest.fixture
def small(settings, serving):
    """A client of an API that lets few jobs wait."""
    with serving(create_app(settings.model_copy(update={"queue_limit": LIMIT}))) as client:
        yield client


def test_a_full_queue_takes_no_job_of_any_kind(small, folder, labelled, snapshot, assert_problem):
    key = {"Idempotency-Key": "k"}
    first = small.post("/train", json=TINY, headers=key).json()
    for _ in range(LIMIT - 1):
        assert small.post("/train", json=TINY).status_code == 202
    before = snapshot()
    for path, body in REQUESTS.items():
        response = small.post(path, json=body)
        assert_problem(response, 429, "queue_full")
        assert response.headers["retry-after"] == "3600"  # no job was started in the last hour
    assert small.post("/train", json=TINY, headers=key).json()["id"] == first["id"]
    assert snapshot() == before


def test_there_is_room_again_when_a_job_starts(small, folder, database, assert_problem):
    ids = [small.post("/train", json=TINY).json()["id"] for _ in range(LIMIT)]
    with database.write() as session:
        assert attempts.claim(session, ids[0], "worker-1", 60)
    assert small.post("/train", json=TINY).status_code == 202
    assert_problem(small.post("/train", json=TINY), 429, "queue_full")


def test_a_job_is_resumed_only_if_there_is_room(small, folder, database, assert_problem):
    job_id = small.post("/train", json=TINY).json()["id"]
    small.post(f"/jobs/{job_id}/cancel")
    for _ in range(LIMIT):
        small.post("/train", json=TINY)
    assert_problem(small.post(f"/jobs/{job_id}/resume"), 429, "queue_full")
    assert small.get(f"/jobs/{job_id}").json()["status"] == JobStatus.CANCELLED


def test_retry_after_follows_how_often_jobs_start(small, folder, database):
    for _ in range(4):
        job_id = small.post("/train", json=TINY).json()["id"]
        with database.write() as session:
            attempts.claim(session, job_id, "worker-1", 60)
    for _ in range(LIMIT):
        small.post("/train", json=TINY)
    assert small.post("/train", json=TINY).headers["retry-after"] == "900"


def test_many_clients_at_once_cannot_pass_the_limit_by_more_than_they_are(small, folder, database):
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: small.post("/train", json=TINY), range(24)))
    accepted = [answer.status_code for answer in answers].count(202)
    most = LIMIT if database.engine.dialect.name == "sqlite" else LIMIT + 8
    assert LIMIT <= accepted <= most
