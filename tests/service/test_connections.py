import asyncio

import pytest

from service.connections import _make_async_redis

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_as_many_embedding_requests_can_wait_at_once_as_may_be_in_progress(settings):
    async def wait_together():
        async with _make_async_redis(settings) as redis:
            answers = (
                redis.blpop(["nothing"], timeout=0.5) for _ in range(settings.embed_requests)
            )
            return await asyncio.gather(*answers)

    assert asyncio.run(wait_together()) == [None] * settings.embed_requests
