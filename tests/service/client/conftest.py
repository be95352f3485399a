"""Both clients, the async one as if it were the sync one, so that each test is for both."""

import asyncio

import httpx
import pytest

from service.client import AsyncPakaClient, PakaClient, Retries


class Blocking:
    """Runs each method of an async client to its end."""

    def __init__(self, client, runner):
        self._client, self._runner = client, runner

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def method(*arguments, **options):
            result = found(*arguments, **options)
            work = collect(result) if hasattr(result, "__aiter__") else result
            return self._runner.run(waiting_for(work))

        return method


async def waiting_for(work):
    return await work


async def collect(rows):
    return [row async for row in rows]


class Breaking(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Real connections; the first answers are lost on the way, after the server has sent them."""

    def __init__(self, lost=1):
        self.lost, self.sent = lost, []
        self._sync, self._async = httpx.HTTPTransport(), httpx.AsyncHTTPTransport()

    def handle_request(self, request):
        self.sent.append(request)
        response = self._sync.handle_request(request)
        response.read()
        self._lose(request)
        return response

    async def handle_async_request(self, request):
        self.sent.append(request)
        response = await self._async.handle_async_request(request)
        await response.aread()
        self._lose(request)
        return response

    def close(self):
        self._sync.close()

    async def aclose(self):
        await self._async.aclose()

    def _lose(self, request):
        if self.lost:
            self.lost -= 1
            raise httpx.ReadError("the connection was reset", request=request)


@pytest.fixture(params=["sync", "async"])
def make_client(request):
    """Makes clients of either kind, whose retries come at once; they are closed in the end."""
    made = []
    options = {"retries": Retries(most=3, first=0.001)}
    if request.param == "sync":

        def make(url="http://127.0.0.1:1", **given):
            made.append(PakaClient(url, **options | given))
            return made[-1]

        yield make
        for client in made:
            client.close()
        return
    with asyncio.Runner() as runner:

        def make(url="http://127.0.0.1:1", **given):
            made.append(Blocking(AsyncPakaClient(url, **options | given), runner))
            return made[-1]

        yield make
        for client in made:
            client.close()


@pytest.fixture
def client(make_client, api):
    """A client of the API, which serves over HTTP."""
    return make_client(str(api.base_url))


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """No login, no cache, and no variables of the developer's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("PAKA_URL", "PAKA_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def breaking():
    """Makes transports whose first answers are lost."""
    return Breaking
