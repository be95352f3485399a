"""The whole service as processes that may be killed one by one: API, job workers, servers."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from paka.run_folder import RunFolder
from service import commands
from service.store import queries
from service.store.models import Job
from service.store.session import Database
from service.store.settings import Settings
from service.store.status import TERMINAL
from tests.chaos.servers import PostgresServer, RedisServer, SqliteFile

REPOSITORY = Path(__file__).resolve().parents[2]
WAIT_SECONDS = 180
CHECKPOINT_EVERY = 5
# Every fault kills a few attempts; how many a job may lose is another test's matter.
MAX_ATTEMPTS = 100


def train_config(steps: int, dataset: str) -> dict[str, Any]:
    """A training of the smallest encoder that takes `steps` steps, some 30 ms each."""
    return {
        "preset": "tiny",
        "dataset": dataset,
        "encoder": "test_vit@random",
        "views": {"global_size": 64, "local_size": 32},
        "loss": {"grid": 2},
        "optim": {"batch_size": 4, "max_steps": steps},
        "runtime": {
            "workers": 0,
            "log_every": 1,
            "checkpoint_every_steps": CHECKPOINT_EVERY,
            "probe_images": 0,
        },
    }


class Service:
    """A running service over a database; `photos` is what its jobs train on.

    Args:
        folder: with a short path, since sockets are in it; what it holds is made here.
    """

    def __init__(self, folder: Path, database: SqliteFile | PostgresServer, photos: Path) -> None:
        self.folder, self.server = folder, database
        (folder / "redis").mkdir()
        (folder / "data").mkdir()
        self.redis = RedisServer(folder / "redis")
        self.settings = Settings(
            home=folder / "home",
            database_url=database.url,
            redis_url=self.redis.url,
            data_roots=(folder / "data",),
            port=free_port(),
            lease_seconds=4,
            reconcile_seconds=0.3,
            message_seconds=1,
            stop_seconds=30,
            max_attempts=MAX_ATTEMPTS,
            cpu_slots=2,
        )
        self.settings.home_folder.mkdir()
        self.photos = photos
        self.spoilt: set[str] = set()
        """Jobs whose images were harmed, so that their weights cannot be those of others."""
        self.database = Database(database.url)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.settings.port}", timeout=10)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.run("service.cli", "migrate")

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the service is told."""
        names = ("lease_seconds", "reconcile_seconds", "message_seconds", "stop_seconds")
        names += ("max_attempts", "cpu_slots")
        own = {f"PAKA_{name.upper()}": str(getattr(self.settings, name)) for name in names}
        return {
            **commands.environment(self.settings),
            **own,
            "PAKA_DATABASE_URL": self.settings.database_url,
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, module: str, *arguments: str) -> None:
        """Run a command of the service to its end."""
        command = [sys.executable, "-m", module, *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)

    def start(self, name: str) -> None:
        """Start `api`, or a worker of any other name, in place of an earlier one of this name."""
        parts = commands.api(self.settings) if name == "api" else commands.worker("jobs", name)
        python, flag, *module = parts
        command = [python, flag, "tests.chaos.clocked", str(self.clock(name)), *module]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def clock(self, name: str) -> Path:
        """The file that sets the clock of a process."""
        return self.folder / f"{name}.clock"

    @property
    def workers(self) -> list[str]:
        """The names of all workers."""
        return [name for name in self.processes if name != "api"]

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one process of the service."""
        self.processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        """Kill a process of the service."""
        self.processes[name].kill()
        self.processes[name].wait()

    def get(self, path: str) -> Any:
        """GET from the API, which may take a moment to come back."""
        return self.request("GET", path).json()

    def request(self, method: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        """Ask the API until it answers; a `key` keeps a repeated POST from doing a thing twice."""
        headers = {"Idempotency-Key": key} if key else {}
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                answer = self.client.request(method, path, json=body, headers=headers)
                if answer.status_code < 500:
                    answer.raise_for_status()
                    return answer
            except httpx.TransportError:
                pass
            assert time.monotonic() < until, f"no answer to {method} {path}"
            time.sleep(0.1)

    def submit(self, steps: int) -> str:
        """Ask for a training on images of its own; return the id of the job."""
        key = os.urandom(8).hex()
        copy_photos(self.photos, self.settings.roots[0] / key)
        answer = self.request("POST", "/train", train_config(steps, key), key)
        return str(answer.json()["id"])

    def job(self, job_id: str) -> Job:
        """The job's row."""
        with self.database.read() as session:
            job = queries.job_by_id(session, job_id)
        assert job is not None, f"{job_id} is gone"
        return job

    def folder_of(self, job_id: str) -> RunFolder:
        """The folder that the job's process writes."""
        return RunFolder(self.settings.job_folder(job_id))

    def worker_of(self, job_id: str) -> str | None:
        """The name of the worker that has the job; None if none has."""
        owner = self.job(job_id).lease_owner
        pid = int(owner.split(":")[1]) if owner else 0
        return next((n for n in self.workers if self.processes[n].pid == pid), None)

    def step(self, job_id: str) -> int:
        """The last step that the job's process has logged; 0 if there is none."""
        rows = self.folder_of(job_id).read_metrics()
        return int(rows[-1]["step"]) if rows else 0

    def ended(self, job_id: str) -> bool:
        """Whether the job is in a terminal state."""
        return self.job(job_id).status in TERMINAL

    def trainings(self, job_id: str) -> list[psutil.Process]:
        """The job's training processes that are alive, of whichever attempt."""
        return [process for process in marked(self.folder) if self.is_of(process, job_id)]

    def is_of(self, process: psutil.Process, job_id: str) -> bool:
        """Whether a process writes the job's folder."""
        try:
            return str(self.settings.job_folder(job_id)) in process.cmdline()
        except psutil.Error:
            return False

    def close(self) -> None:
        """Stop everything, the workers first."""
        for name in [*self.workers, "api"]:
            if (process := self.processes.get(name)) and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.client.close()
        self.database.close()
        self.redis.close()
        self.server.close()


def copy_photos(photos: Path, folder: Path) -> None:
    """Make a data set of 48 images, each photograph four times."""
    folder.mkdir(parents=True)
    for photo in photos.iterdir():
        for copy in "abcd":
            shutil.copy(photo, folder / f"{copy}-{photo.name}")


def marked(folder: Path) -> list[psutil.Process]:
    """The live processes of job attempts of the service in `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:  # it has just ended, or is another user's
            continue
        home = environment.get("PAKA_HOME", "")
        if alive and "PAKA_ATTEMPT" in environment and Path(home).is_relative_to(folder):
            found.append(process)
    return found


def wait_for(condition: Any, what: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait until `condition()` holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
