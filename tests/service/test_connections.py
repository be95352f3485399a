import asyncio

import psutil
import pytest

from service.connections import _make_async_redis, connected

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_what_was_opened_is_closed_if_the_rest_cannot_be(settings, monkeypatch):
    def fail(folder):
        raise PermissionError(folder)

    monkeypatch.setattr("service.datasets.storage.sweep", fail)

    async def open_all():
        async with connected(settings):
            raise AssertionError("it was opened")

    before = [file.path for file in psutil.Process().open_files()]
    with pytest.raises(PermissionError):
        asyncio.run(open_all())
    assert [file.path for file in psutil.Process().open_files()] == before


def test_as_many_embedding_requests_can_wait_at_once_as_may_be_in_progress(settings):
    async def wait_together():
        async with _make_async_redis(settings) as redis:
            answers = (
                redis.blpop(["nothing"], timeout=0.5) for _ in range(settings.embed_requests)
            )
            return await asyncio.gather(*answers)

    assert asyncio.run(wait_together()) == [None] * settings.embed_requests
