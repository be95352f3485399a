import json
import logging
import time

from redis import Redis

from service.store.contract import WORKER_ALIVE_SECONDS, worker_key
from worker.announce import Announcement


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_is_known_from_its_start_to_its_end(redis, monkeypatch):
    monkeypatch.setattr("worker.announce._RENEW_SECONDS", 0.05)
    announcement = Announcement(redis, "embed", "cpu")
    key = worker_key("embed", announcement.name)
    wait_for(lambda: redis.exists(key))
    about = json.loads(redis.get(key))
    assert (about["kind"], about["device"]) == ("embed", "cpu")
    assert 0 < redis.ttl(key) <= WORKER_ALIVE_SECONDS
    redis.delete(key)
    wait_for(lambda: redis.exists(key))
    announcement.close()
    assert not redis.exists(key)


def test_what_has_changed_is_told_at_once(redis):
    problems = ["it is being stopped", None]
    announcement = Announcement(redis, "jobs", "cpu", lambda: problems.pop())
    wait_for(lambda: redis.exists(announcement.key))
    announcement.renew()
    wait_for(lambda: json.loads(redis.get(announcement.key))["problem"] == "it is being stopped")
    announcement.close()


def test_a_redis_that_is_away_is_only_logged(tmp_path, caplog):
    with Redis.from_url(f"unix://{tmp_path}/no.sock") as away:
        announcement = Announcement(away, "jobs", "cpu")
        with caplog.at_level(logging.WARNING):
            announcement.close()
    assert "could not sign off" in caplog.text
