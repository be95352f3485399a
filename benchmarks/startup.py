"""How long one waits for things to begin: a command's help, the API, and a job's first step.

    python -m benchmarks.startup IMAGES [--repeats 5] [--json FILE]

`paka --help`: from its start to its end. The API: `paka-server api`, whose database and Redis are
there, from its start to the first answer of `/health`. A job: `paka-server up` runs, otherwise
idle, and a training of the starter encoder is sent: from its claim by a worker to its first two
lines of metrics, when the features as they are were probed (step 0), and after the first step. All
by the clock; beside them the processor time of a bare `import torch`, without which no job begins.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from rich.table import Table

from benchmarks.load.server import Server, running
from benchmarks.measure import Spread, parser, show
from service import commands, preflight
from service.store.migrate import upgrade
from service.store.settings import Settings

AIMS = {"paka --help": 0.3, "API, first answer": 2.0, "job, claim to first step": 6.0}
_PAUSE_SECONDS = 0.005


def seconds_of(*command: str) -> float:
    """How long a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def import_torch() -> float:
    """Processor time of a process that imports torch and leaves."""
    before = os.times()
    subprocess.run([sys.executable, "-c", "import torch, os; os._exit(0)"], check=True)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def api_start(home: Path, redis_url: str) -> float:
    """From the start of the API's process to its first answer."""
    settings = Settings(home=home, redis_url=redis_url, port=preflight.find_port("127.0.0.1", 0))
    upgrade(settings.database)
    # One client for all: to make one takes as long as several answers.
    client = httpx.Client(base_url=f"http://127.0.0.1:{settings.port}")
    start = time.perf_counter()
    process = subprocess.Popen(
        commands.api(settings),
        env=commands.environment(settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(lambda: client.get("/health").is_success)
        return time.perf_counter() - start
    finally:
        client.close()
        process.terminate()
        process.wait()


def job_start(server: Server, images: Path) -> dict[str, float]:
    """Seconds from a job's claim to its first two lines of metrics."""
    body = {"dataset": str(images), "preset": "tiny", "optim": {"max_steps": 2}}
    job = server.post("/train", body)["id"]
    _wait(lambda: server.get(f"/jobs/{job}")["status"] == "succeeded", 0.2)
    rows = server.get(f"/jobs/{job}/metrics")["data"]
    claimed = datetime.fromisoformat(server.get(f"/jobs/{job}")["started_at"])
    at = {row["step"]: datetime.fromisoformat(row["time"]) - claimed for row in rows}
    return {"features probed": at[0].total_seconds(), "first step": at[1].total_seconds()}


def _wait(until: Callable[[], Any], pause: float = _PAUSE_SECONDS, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if until():
                return
        except httpx.HTTPError:
            pass
        time.sleep(pause)
    raise SystemExit("it did not begin in time")


def main() -> None:
    """Measure and print."""
    options = parser(str(__doc__), repeats=5)
    options.add_argument("source", metavar="IMAGES", type=Path, help="folder of photographs")
    given = options.parse_args()
    turns = range(given.repeats)
    paka = str(Path(sys.executable).with_name("paka"))
    seconds = {"paka --help": [seconds_of(paka, "--help") for _ in turns]}
    with (
        tempfile.TemporaryDirectory() as name,
        running(Path(name), given.source.resolve(), "") as server,
    ):
        redis = f"unix://{name}/redis.sock"
        starts = [api_start(Path(name) / f"api-{turn}", redis) for turn in turns]
        seconds["API, first answer"] = starts
        jobs = [job_start(server, given.source.resolve()) for _ in turns]
    seconds["job, claim to features probed"] = [job["features probed"] for job in jobs]
    seconds["job, claim to first step"] = [job["first step"] for job in jobs]
    seconds["import torch, processor time"] = [import_torch() for _ in turns]
    table = Table("", "seconds", "aim")
    for what, values in seconds.items():
        aim = f"< {AIMS[what]:g}" if what in AIMS else ""
        table.add_row(what, str(Spread.of(values)), aim)
    show([table], {"seconds": seconds}, given)


if __name__ == "__main__":
    main()
