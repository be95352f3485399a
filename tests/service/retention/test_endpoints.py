import hashlib
import json
import subprocess
import sys
import time

import pytest

from service.app import create_app
from service.store import chores
from service.store.status import JobStatus

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CONTENT = b"weights"
FILES = {
    "encoder.safetensors": {"sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT)}
}


@pytest.fixture
def ended(settings, worker):
    """A job that has ended with a checkpoint; its id."""
    worker.claim().add_checkpoint(10, FILES)
    folder = settings.job_folder(worker.job_id) / "checkpoints" / "step-00000010"
    folder.mkdir(parents=True)
    (folder / "encoder.safetensors").write_bytes(CONTENT)
    worker.add_encoder("enc_1", "p", "ab")
    worker.end(JobStatus.SUCCEEDED)
    return worker.job_id


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


def test_storage_adds_up_by_user_and_kind(api, ended):
    answer = api.get("/storage").json()
    (user,) = answer["users"]
    assert (user["user"], user["checkpoints"], user["encoders"]) == ("local", 7, 1)
    assert answer["total"] == user["total"] == 8
    assert answer["disk_bytes"] > answer["disk_free_bytes"] > 0


@SQLITE
def test_room_is_made_only_if_dry_run_is_false(settings, serving, ended, assert_problem):
    limited = settings.model_copy(update={"retention_quota_bytes": 0})
    with serving(create_app(limited)) as api:
        for body in ({}, {"dry_run": True}):
            answer = api.post("/gc", json=body).json()
            assert answer["dry_run"] is True
            assert [one["step"] for one in answer["removed"]] == [10]
        assert len(api.get(f"/jobs/{ended}/checkpoints").json()["data"]) == 1
        answer = api.post("/gc", json={"dry_run": False}).json()
        assert [one["step"] for one in answer["removed"]] == [10]
        assert api.get(f"/jobs/{ended}/checkpoints").json()["data"] == []
        assert_problem(api.post("/gc", json={"dry_run": 7}), 422, "invalid_request", "dry_run")
        assert_problem(api.post("/gc", content="{}"), 415, "wrong_content_type")


@SQLITE
def test_room_is_made_by_itself_if_there_is_a_limit(settings, serving, ended):
    values = {"retention_quota_bytes": 0, "retention_seconds": 0.1}
    with serving(create_app(settings.model_copy(update=values))) as api:
        wait_for(lambda: api.get(f"/jobs/{ended}/checkpoints").json()["data"] == [])


@SQLITE
def test_the_command_says_what_goes_and_why(settings, ended):
    def gc(*options):
        command = [sys.executable, "-m", "service.cli", "gc", "--home", settings.home, *options]
        environment = {
            "PAKA_DATABASE_URL": settings.database_url,
            "PAKA_RETENTION_QUOTA_BYTES": "0",
        }
        done = subprocess.run(
            ["env", *(f"{k}={v}" for k, v in environment.items()), *command],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for option in ("--dry-run", "--help"):
        assert gc(option)
    assert f"{ended}  checkpoint 10  7 bytes: all together are above the quota" in gc("--dry-run")
    assert json.loads(gc("--json"))["removed"][0]["bytes"] == 7
    assert "made 0 bytes of room" in gc()


def test_a_chore_is_given_to_one_of_many(database):
    assert chores.take(database, "sweep", 60)
    assert not chores.take(database, "sweep", 60)
    assert chores.take(database, "other", 0)
    assert chores.take(database, "other", 60)
    assert not chores.take(database, "other", 60)
