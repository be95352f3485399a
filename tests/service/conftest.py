import asyncio
import hashlib
import json
import shutil
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from service.auth.secret import digest, new_token, server_secret
from service.store import attempts, users
from service.store.base import utc_now
from service.store.contract import (
    CONTRACT_VERSION,
    EMBED_PENDING_KEY,
    EmbedError,
    EmbedRequest,
    result_key,
    worker_key,
)
from service.store.models import Base, Encoder
from service.store.status import JobStatus
from service.store.transitions import NewEvent

PEOPLE = {"viewer": "viewer", "other": "member", "owner": "member", "admin": "admin"}
TINY = {"preset": "tiny", "dataset": "photos"}
PATCH, DIM = 16, 3
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Plain HTTP needs none, and to read all that a system trusts takes a client 20 ms."""


async def _main_loop(server):
    """As uvicorn's own, which looks ten times a second whether it should end: here tests wait."""
    tick = 0
    while not await server.on_tick(tick):
        tick += 1
        await asyncio.sleep(0.01)


async def _shutdown(server, shutdown, sockets=None):
    """As uvicorn's own, which waits for a tenth of a second even where nobody is connected."""
    if server.server_state.connections or server.server_state.tasks:
        await shutdown(sockets)
        return
    for each in server.servers:
        each.close()
    await server.lifespan.shutdown()


@contextmanager
def _serving(app):
    """Serve an application over real HTTP; yields a client of it."""
    import httpx
    import uvicorn

    config = uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    server.main_loop = partial(_main_loop, server)
    server.shutdown = partial(_shutdown, server, server.shutdown)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive() and time.monotonic() < until, "the API did not start"
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, timeout=30, verify=NO_CERTIFICATES) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def serving():
    """Serves an application for as long as a `with` block lasts."""
    return _serving


class EmbedWorker:
    """Answers requests as the contract says: a patch's token is the mean colour of its pixels."""

    def __init__(self, redis):
        self.redis = redis
        self.requests = []
        self.error = None
        self.contract = CONTRACT_VERSION
        self.paused = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        announce(self.redis, "embed")
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._closed.set()
        self._thread.join()

    def _run(self):
        while not self._closed.is_set():
            if self.paused.is_set():
                self._closed.wait(0.02)
            elif taken := self.redis.blpop([EMBED_PENDING_KEY], timeout=0.05):
                request = EmbedRequest.from_bytes(taken[1])
                self.requests.append(request)
                self.redis.rpush(result_key(request.id), self._answer(request))

    @staticmethod
    def sha256(weights):
        """Of the weights file, or of the word for weights that are none."""
        path = Path(weights)
        content = path.read_bytes() if path.is_file() else weights.encode()
        return hashlib.sha256(content).hexdigest()

    def _answer(self, request):
        from safetensors.numpy import save

        if self.error:
            return EmbedError(*self.error).to_bytes()
        b, height, width, _ = request.pixels.shape
        h, w = height // PATCH, width // PATCH
        pixels = request.pixels[:, : h * PATCH, : w * PATCH]
        blocks = pixels.reshape(b, h, PATCH, w, PATCH, DIM)
        tokens = blocks.mean((2, 4)).astype(request.options["dtype"])
        about = {"encoder": request.encoder, "grid": [h, w], "inference_seconds": 0.25}
        about["encoder_sha256"] = self.sha256(request.weights)
        tensors = {
            "patch_tokens": tokens,
            "image_features": np.ascontiguousarray(tokens.mean((1, 2))),
            "boxes": request.boxes,
            "original_sizes": request.original_sizes,
        }
        return save(tensors, {"contract": str(self.contract), "paka": json.dumps(about)})


def announce(redis, kind):
    """Say what a live worker of this kind says of itself; return the key."""
    about = {"name": "w", "kind": kind, "host": "h", "pid": 1, "version": "1", "device": "cpu"}
    about |= {"contract": CONTRACT_VERSION}
    text = json.dumps({**about, "started_at": utc_now().isoformat()})
    redis.set(worker_key(kind, "w"), text)
    return worker_key(kind, "w")


@pytest.fixture
def busy_worker(redis):
    """A live embedding worker that answers nothing; the key by which it is known."""
    return announce(redis, "embed")


@pytest.fixture
def embed_worker(redis):
    """A live worker that answers embedding requests."""
    with EmbedWorker(redis) as worker:
        yield worker


@pytest.fixture
def all_workers(redis, embed_worker):
    """A live worker of each kind; no job is run."""
    announce(redis, "jobs")


@pytest.fixture
def api(settings, serving):
    """A client of the API, which serves over HTTP."""
    from service.app import create_app

    with serving(create_app(settings)) as client:
        yield client


@pytest.fixture
def folder(settings, photos):
    """The folder `photos` in the data root, with a few photographs."""
    folder = settings.roots[0] / "photos"
    folder.mkdir()
    for photo in sorted(photos.iterdir())[:3]:
        shutil.copy(photo, folder)
    return folder


@pytest.fixture
def labelled(settings, labelled_photos):
    """The folder `labelled` in the data root, with a few labelled photographs."""
    return Path(shutil.copytree(labelled_photos, settings.roots[0] / "labelled"))


@pytest.fixture
def job(api, folder):
    """A queued training job, as the API showed it."""
    return api.post("/train", json=TINY).json()


@pytest.fixture
def snapshot(database, redis, settings):
    """Returns what there is now: rows by table, Redis keys, and files."""
    from sqlalchemy import func, select

    def take():
        with database.read() as session:
            rows = {
                name: session.scalar(select(func.count()).select_from(table))
                for name, table in Base.metadata.tables.items()
            }
        places = (settings.artifacts_folder, *settings.roots)
        files = sorted(path for place in places for path in place.rglob("*"))
        return rows, sorted(redis.keys("*")), files

    return take


def problem(response, status, code, field=None):
    """Assert that the response is this problem; return its detail."""
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    keys = {"type", "title", "status", "detail", "code", "errors", "request_id"}
    assert body.keys() == keys
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    if field is not None:
        assert field in [error["field"] for error in body["errors"]], response.text
    return body["detail"]


@pytest.fixture
def assert_problem():
    """The function `problem`."""
    return problem


class Worker:
    """Does to one job what a worker does, without the work."""

    def __init__(self, database, job_id):
        self.database, self.job_id, self.lease = database, job_id, None

    def claim(self, lease_seconds=60):
        with self.database.write() as session:
            self.lease = attempts.claim(session, self.job_id, "worker-1", lease_seconds)
        assert self.lease is not None
        return self

    def log(self, *steps):
        rows = [
            {"step": step, "total_steps": 60, "loss": 1 / step, "eta_seconds": 60 - step}
            for step in steps
        ]
        events = [NewEvent("metrics", "", row, row["step"]) for row in rows]
        with self.database.write() as session:
            return attempts.record(session, self.lease, 60, events, rows[-1] if rows else None)

    def end(self, status=JobStatus.SUCCEEDED, error=None):
        with self.database.write() as session:
            attempts.finish(session, self.lease, status, error)

    def add_checkpoint(self, step, files):
        path = f"jobs/{self.job_id}/checkpoints/step-{step:08d}"
        with self.database.write() as session:
            attempts.add_checkpoint(session, self.lease, step, path, files, utc_now())

    def add_encoder(self, encoder_id, path, sha256):
        with self.database.write() as session:
            encoder = Encoder(
                id=encoder_id,
                job_id=self.job_id,
                architecture="test_vit",
                base="test_vit@random",
                path=path,
                sha256=sha256,
                bytes=1,
                steps=60,
            )
            attempts.add_encoder(session, encoder)


@pytest.fixture
def worker(database, job):
    """A worker that has not yet claimed the job `job`."""
    return Worker(database, job["id"])


@pytest.fixture
def locked(settings):
    """Settings of a server that asks for keys."""
    return settings.model_copy(update={"auth": "on", "rate_limit": 1_000_000})


@pytest.fixture
def make_key(database, settings):
    """Adds a user, unless there is one of this name, and a key of theirs; returns the key."""
    secret = server_secret(settings)

    def make(name, role="member", expires_in=None):
        token = new_token()
        expires_at = utc_now() + timedelta(seconds=expires_in) if expires_in is not None else None
        with database.write() as session:
            user = users.user_by_name(session, name) or users.add_user(session, name, role)
            users.add_key(session, user, digest(secret, token), expires_at)
        return token

    return make


@pytest.fixture
def people(make_key):
    """Keys that work, by who has them."""
    return {name: make_key(name, role) for name, role in PEOPLE.items()}


@pytest.fixture
def ask(locked, serving, people):
    """Sends a request with the key of one of `people`; None sends none."""
    from service.app import create_app

    with serving(create_app(locked)) as client:

        def ask(who, method, path, **options):
            headers = options.pop("headers", {})
            if who is not None:
                headers["Authorization"] = f"Bearer {people[who]}"
            return client.request(method, path, headers=headers, **options)

        yield ask
