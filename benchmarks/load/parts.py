"""What is measured, each part by itself on one running server."""

import base64
import io
import json
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.load.client import REFUSED, Answers, Load, finish, send, start
from benchmarks.load.server import Server, Use

CLIENTS = (1, 8, 32, 128)
ENCODER = "vit_starter_patch16_224"
_BOUNDARY = "paka"
FORM = f"multipart/form-data; boundary={_BOUNDARY}"
FOLLOWERS = 100
_MIB = 2**20


class Row(NamedTuple):
    """One line of the table. Times in milliseconds; `refused` counts 429 and 503, `errors` what is
    neither that nor a success; `health` is the 95th percentile of GET /health meanwhile; `cpu` is
    the API's own time for an answer, which other work on the machine does not stretch so much.
    """

    part: str
    clients: int
    per_second: float
    p50: float
    p95: float
    p99: float
    refused: int
    errors: int
    health: float
    cpu: float
    api_mib: float


def jobs(server: Server, seconds: float) -> Iterator[Row]:
    """`GET /jobs`: the first page, the last, and what is rare."""
    for name, query, clients in (
        ("first page", "limit=20", 1),
        ("first page", "limit=20", 8),
        ("last page", f"after={server.old_job}", 1),
        ("rare kind and status", "kind=embed&status=cancelled", 1),
        ("nothing found", "kind=train&status=running", 1),
        ("1000 jobs", "limit=1000", 1),
    ):
        load = Load(f"{server.url}/jobs?{query}", clients=clients)
        yield measure(server, f"GET /jobs, {name}", load, seconds)


def embed(server: Server, seconds: float) -> Iterator[Row]:
    """`POST /embed`, one photograph at 224 pixels each."""
    warm_up(server)
    for clients in CLIENTS:
        load = embedding(server, photograph())._replace(clients=clients)
        yield measure(server, "POST /embed", load, seconds)


def embed_beside_training(server: Server, seconds: float) -> Iterator[Row]:
    """`POST /embed` on an idle server, and while a post-training runs."""
    warm_up(server)
    load = embedding(server, photograph())._replace(pause=0.05)
    yield measure(server, "POST /embed, idle", load, seconds)
    body = {"preset": "tiny", "dataset": "photos", "optim": {"max_steps": 100_000}}
    job = server.post("/train", body)
    while (server.get(f"/jobs/{job['id']}")["progress"] or {}).get("step", 0) < 4:
        time.sleep(0.5)
    yield measure(server, "POST /embed, beside a training", load, seconds)
    server.post(f"/jobs/{job['id']}/cancel", {})
    while server.get(f"/jobs/{job['id']}")["status"] == "running":
        time.sleep(0.5)


def embed_large(server: Server, seconds: float) -> Iterator[Row]:
    """`POST /embed` with bodies of 20 MB each, more than the API may hold at once."""
    warm_up(server)
    load = embedding(server, photograph(padding=20_000_000))._replace(clients=128)
    yield measure(server, "POST /embed, 20 MB each", load, seconds)


def train(server: Server, seconds: float) -> Iterator[Row]:
    """`POST /train` and streams of events, while the worker for jobs stands still."""
    worker = server.part("paka.jobs")
    worker.send_signal(signal.SIGSTOP)
    try:
        body = json.dumps({"preset": "tiny", "dataset": "photos"}).encode()
        load = Load(f"{server.url}/train", "POST", [base64.b64encode(body).decode()])
        for clients in (1, 8):
            yield measure(server, "POST /train", load._replace(clients=clients), seconds)
        job = server.get("/jobs?limit=1")["data"][0]
        url = f"{server.url}/jobs/{job['id']}/events"
        streams = start(Load(url, clients=FOLLOWERS, seconds=seconds))
        name = f"GET /jobs, {FOLLOWERS} follow a job"
        yield measure(server, name, Load(f"{server.url}/jobs"), seconds)
        server.post(f"/jobs/{job['id']}/cancel", {})
        finish(streams)
    finally:
        worker.send_signal(signal.SIGCONT)


PARTS: dict[str, Callable[[Server, float], Iterator[Row]]] = {
    "jobs": jobs,
    "embed": embed,
    "embed_beside_training": embed_beside_training,
    "embed_large": embed_large,
    "train": train,
}


def measure(server: Server, part: str, load: Load, seconds: float) -> Row:
    """Send a load for so long, and look at the API meanwhile."""
    load = load._replace(seconds=seconds)
    health = start(Load(f"{server.url}/health", seconds=seconds, pause=0.05))
    with Use(server.part("uvicorn")) as use:
        answers = send(load)
    return row(part, load.clients, answers, finish(health), use)


def row(part: str, clients: int, answers: Answers, health: Answers, use: Use) -> Row:
    """Sum up."""
    refused = sum(answers.statuses.get(str(status), 0) for status in REFUSED)
    well = sum(n for status, n in answers.statuses.items() if status.startswith("2"))
    p50, p95, p99 = (percentile(answers.seconds, percent) * 1000 for percent in (50, 95, 99))
    return Row(
        part,
        clients,
        per_second=len(answers.seconds) / answers.elapsed,
        p50=p50,
        p95=p95,
        p99=p99,
        refused=refused,
        errors=sum(answers.statuses.values()) - refused - well,
        health=percentile(health.seconds, 95) * 1000,
        cpu=use.cpu_seconds / max(len(answers.seconds), 1) * 1000,
        api_mib=use.peak / _MIB,
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """A percentile; NaN of no values."""
    if len(values) < 2:
        return values[0] if values else float("nan")
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def embedding(server: Server, *images: bytes, encoder: str = ENCODER) -> Load:
    """Requests for the features of one image each, at 224 pixels."""
    bodies = [base64.b64encode(_form(image, encoder)).decode() for image in images]
    return Load(f"{server.url}/embed", "POST", bodies, FORM)


def _form(image: bytes, encoder: str) -> bytes:
    parts = [("encoder", "", encoder.encode()), ("size", "", b"224")]
    parts += [("images", '; filename="a"', image)]
    body = b"".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, file, content in parts
    )
    return body + f"--{_BOUNDARY}--\r\n".encode()


def photograph(padding: int = 0) -> bytes:
    """A JPEG of 640 x 480 pixels of noise, with so many bytes after its end."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((640, 480)).save(buffer, "JPEG")
    return buffer.getvalue() + bytes(padding)


def warm_up(server: Server) -> None:
    """Have the encoder loaded, and the API's decoders started."""
    send(embedding(server, photograph())._replace(clients=4, seconds=2))
