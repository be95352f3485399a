"""The clients: `python -m benchmarks.load.client` reads a `Load` as JSON, and prints `Answers`."""

import asyncio
import base64
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import aiohttp

REFUSED = (429, 503)
PAUSE_SECONDS = 0.1


class Load(NamedTuple):
    """What clients ask for; `bodies` in base64, of which each request takes the next; `pause` in
    seconds between two requests of one client.
    """

    url: str
    method: str = "GET"
    bodies: Sequence[str] = ()
    content_type: str = "application/json"
    clients: int = 1
    seconds: float = 5.0
    pause: float = 0.0


class Answers(NamedTuple):
    """What came of it: seconds of each answer that was no refusal, and how many had which status;
    status 0 is an answer that did not come whole.
    """

    seconds: list[float]
    statuses: dict[str, int]
    elapsed: float


def start(load: Load) -> "subprocess.Popen[str]":
    """Begin to send a load, from a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(load._asdict()))
    process.stdin.close()
    return process


def finish(process: "subprocess.Popen[str]") -> Answers:
    """Wait for the load's end."""
    assert process.stdout is not None
    text = process.stdout.read()
    if process.wait():
        raise RuntimeError(f"the clients ended with exit code {process.returncode}")
    return Answers(**json.loads(text))


def send(load: Load) -> Answers:
    """Send a load and wait for its end."""
    return finish(start(load))


async def _send(load: Load) -> Answers:
    answers = Answers([], {}, 0.0)
    headers = {"Content-Type": load.content_type}
    bodies = [{"data": base64.b64decode(body), "headers": headers} for body in load.bodies]
    contents = itertools.cycle(bodies or [{}])
    timeout = aiohttp.ClientTimeout(total=300)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        started = time.perf_counter()
        until = started + load.seconds
        clients = (_client(session, load, contents, until, answers) for _ in range(load.clients))
        await asyncio.gather(*clients)
        return answers._replace(elapsed=time.perf_counter() - started)


async def _client(
    session: aiohttp.ClientSession,
    load: Load,
    contents: Iterator[dict[str, Any]],
    until: float,
    answers: Answers,
) -> None:
    while (started := time.perf_counter()) < until:
        status = 0
        try:
            async with session.request(load.method, load.url, **next(contents)) as response:
                await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            print(repr(error), file=sys.stderr)
        answers.statuses[str(status)] = answers.statuses.get(str(status), 0) + 1
        if status in REFUSED:
            await asyncio.sleep(PAUSE_SECONDS)
        elif status:
            answers.seconds.append(time.perf_counter() - started)
        await asyncio.sleep(load.pause)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_send(Load(**json.load(sys.stdin))))._asdict()))
