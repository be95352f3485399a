"""Embedding over HTTP beside the bare model."""

import base64
import http.client
import itertools
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import psutil
from redis import Redis

from benchmarks.embed.bare import SIZE, Bare
from benchmarks.load.client import Load, send
from benchmarks.load.parts import embedding
from benchmarks.load.server import Server
from benchmarks.measure import in_turn
from service.store.contract import WORKER_ALIVE_SECONDS
from service.store.workers import Embedding, announced_workers

CLIENTS = 32
PARTS = ("API", "decoders", "worker", "Redis", "clients")
_ANNOUNCED_SECONDS = WORKER_ALIVE_SECONDS / 3 + 0.5
"""After so long a worker has told of all that it has done."""


class Turn(NamedTuple):
    """What 32 clients got in one turn: images a second, and milliseconds of processor time for each
    image by part of the service.
    """

    rate: float
    cpu: dict[str, float]


class Compared(NamedTuple):
    """A turn of the service and one of the bare model, in images a second, in batches of `batch`
    images: as many as a pass of the worker had on average in the turn before.
    """

    service: Turn
    bare: float
    batch: float


def throughput(
    server: Server, bare: Bare, images: Sequence[bytes], seconds: float, repeats: int
) -> list[Compared]:
    """Measure service and bare model in turn."""
    load = _load(server, bare, images, seconds)
    send(load._replace(seconds=2))  # the encoder is loaded, the decoders are started
    time.sleep(_ANNOUNCED_SECONDS)
    before = done(server)
    send(load)
    time.sleep(_ANNOUNCED_SECONDS)
    turns = []
    for _ in range(repeats):
        now = done(server)
        batch = (now.images - before.images) / (sum(now.passes) - sum(before.passes))
        before, turn = now, _turn(server, load)
        turns.append(Compared(turn, bare.rate(round(batch), seconds), batch))
        time.sleep(max(_ANNOUNCED_SECONDS - seconds, 0))
    return turns


def kept(
    server: Server, bare: Bare, images: Sequence[bytes], seconds: float, repeats: int
) -> list[Turn]:
    """Measure a service that has the features of all images already."""
    files = [("images", (str(number), image)) for number, image in enumerate(images)]
    fields = {"encoder": bare.reference, "size": str(SIZE)}
    url = f"{server.url}/embed"
    httpx.post(url, files=files, data=fields, timeout=60).raise_for_status()
    load = _load(server, bare, images, seconds)
    return [_turn(server, load) for _ in range(repeats)]


def _load(server: Server, bare: Bare, images: Sequence[bytes], seconds: float) -> Load:
    load = embedding(server, *images, encoder=bare.reference)
    return load._replace(clients=CLIENTS, seconds=seconds)


def _turn(server: Server, load: Load) -> Turn:
    with processor_time(server) as cpu:
        answers = send(load)
    if answers.statuses.keys() != {"200"}:
        raise SystemExit(f"not all requests were answered: {answers.statuses}")
    count = len(answers.seconds)
    each = {part: used / count * 1000 for part, used in cpu.items()}
    return Turn(count / answers.elapsed, each)


def done(server: Server) -> Embedding:
    """What the server's embedding worker says it has done."""
    with Redis.from_url(f"unix://{server.home / 'redis.sock'}") as redis:
        [found] = [one.embedding for one in announced_workers(redis) if one.embedding]
    return found


@contextmanager
def processor_time(server: Server) -> Iterator[dict[str, float]]:
    """Yields what is filled at the end: seconds of each part of the server, and of the clients."""
    used: dict[str, float] = {}
    before = _processor_times(server)
    yield used
    used.update((part, now - before[part]) for part, now in _processor_times(server).items())


def _processor_times(server: Server) -> Mapping[str, float]:
    api = server.part("uvicorn")
    clients = resource.getrusage(resource.RUSAGE_CHILDREN)
    times = (
        _time(api),
        sum(_time(child) for child in api.children(recursive=True)),
        _time(server.part("paka.embed")),
        _time(server.part("redis-server")),
        clients.ru_utime + clients.ru_stime,
    )
    return dict(zip(PARTS, times, strict=True))


def _time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def latency(
    server: Server, bare: Bare, images: Sequence[bytes], repeats: int
) -> dict[str, list[float]]:
    """Seconds for one image alone, by `service` and `bare`, in turn."""
    load = embedding(server, *images, encoder=bare.reference)
    bodies = itertools.cycle([base64.b64decode(body) for body in load.bodies])
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)

    def ask() -> None:
        connection.request("POST", "/embed", next(bodies), {"Content-Type": load.content_type})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"a request was answered with {answer.status}")

    calls = {"service": ask, "bare": lambda: bare.forward(0, 1)}
    return in_turn(calls, repeats, warm_up=3)
