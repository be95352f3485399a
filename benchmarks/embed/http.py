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

import psutil
from redis import Redis

from benchmarks.embed.bare import Bare
from benchmarks.load.client import Load, send
from benchmarks.load.parts import embedding
from benchmarks.load.server import Server
from benchmarks.measure import in_turn
from service.store.contract import WORKER_ALIVE_SECONDS
from service.store.workers import Embedding, announced_workers

CLIENTS = 32
_ANNOUNCED_SECONDS = WORKER_ALIVE_SECONDS / 3 + 0.5
"""After so long a worker has told of all that it has done."""


class Turn(NamedTuple):
    """One turn of service and bare model, in images a second; `batch` is how many images a forward
    pass of the worker had on average, and `cpu` milliseconds of processor time for each image, by
    part of the service.
    """

    service: float
    bare: float
    batch: float
    cpu: dict[str, float]


def throughput(
    server: Server, bare: Bare, images: Sequence[bytes], encoder: str, seconds: float, repeats: int
) -> list[Turn]:
    """Measure service and bare model in turn, the latter in batches of the worker's mean size."""
    load = embedding(server, *images, encoder=encoder)._replace(clients=CLIENTS, seconds=seconds)
    send(load._replace(seconds=3))  # the encoder is loaded, the decoders are started
    time.sleep(_ANNOUNCED_SECONDS)
    return [_turn(server, bare, load) for _ in range(repeats)]


def _turn(server: Server, bare: Bare, load: Load) -> Turn:
    before = done(server)
    with processor_time(server) as cpu:
        answers = send(load)
    count = answers.statuses.get("200", 0)
    if answers.statuses.keys() != {"200"}:
        raise SystemExit(f"not all requests were answered: {answers.statuses}")
    time.sleep(_ANNOUNCED_SECONDS)
    after = done(server)
    passes = sum(after.passes) - sum(before.passes)
    # Of requests whose images were all in the cache the worker knows nothing.
    batch = (after.images - before.images) / passes if passes else CLIENTS
    rate = bare.rate(max(round(batch), 1), load.seconds)
    each = {part: used / count * 1000 for part, used in cpu.items()}
    return Turn(count / answers.elapsed, rate, batch, each)


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
    return {
        "API": _time(api),
        "decoders": sum(_time(child) for child in api.children(recursive=True)),
        "worker": _time(server.part("paka.embed")),
        "Redis": _time(server.part("redis-server")),
        "clients": clients.ru_utime + clients.ru_stime,
    }


def _time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def latency(
    server: Server, bare: Bare, images: Sequence[bytes], encoder: str, repeats: int
) -> dict[str, list[float]]:
    """Seconds for one image alone, by `service` and `bare`, in turn."""
    load = embedding(server, *images, encoder=encoder)
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
