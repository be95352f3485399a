import asyncio
import subprocess
import time

import pytest

from service.auth import rate_limits
from service.auth.rate_limits import RateLimits


def run(scenario, url):
    async def with_limits():
        limits = RateLimits(url)
        try:
            return await scenario(limits)
        finally:
            await limits.close()

    return asyncio.run(with_limits())


async def count_three(limits):
    return [await limits.count(2, "key", "a") for _ in range(3)]


def test_no_more_are_counted_than_the_limit(redis_url, redis):
    async def scenario(limits):
        counted = await count_three(limits)
        return (
            counted,
            await limits.count(2, "key", "b"),
            await limits.seconds_to_wait(2, "key", "a"),
        )

    counted, other, seconds = run(scenario, redis_url)
    assert counted == [True, True, False]
    assert other
    assert 55 <= seconds <= 60
    assert all(0 < redis.ttl(key) <= 61 for key in redis.keys("paka:rate*"))


def test_while_redis_is_away_a_process_counts_alone_and_asks_again_later(
    redis_url, redis, tmp_path, monkeypatch, caplog
):
    async def scenario(limits):
        return await count_three(limits), await limits.seconds_to_wait(2, "key", "a")

    counted, seconds = run(scenario, f"unix://{tmp_path}/none.sock")
    assert counted == [True, True, False]
    assert 55 <= seconds <= 60
    assert caplog.text.count("counted by each process alone") == 1


def test_a_redis_that_hangs_holds_up_one_request_only(redis_url, redis, monkeypatch):
    async def scenario(limits):
        await limits.count(100, "key", "a")
        started = time.monotonic()
        for _ in range(10):
            assert await limits.count(100, "key", "a")
        return time.monotonic() - started

    pid = int(redis.info("server")["process_id"])
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rate_limits, "REDIS_SECONDS", 0.2)
            elapsed = run(scenario, redis_url)
    finally:
        subprocess.run(["kill", "-CONT", str(pid)], check=True)
    assert elapsed < 5
