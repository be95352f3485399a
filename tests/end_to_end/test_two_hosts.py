"""A training on two hosts of a network, each with a worker and a home of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from service.store.status import TERMINAL
from tests.fixtures.servers import redis_executable, run_sql, short_folder, wait_for_redis

TRAINING = {
    "preset": "tiny",
    "encoder": "test_vit@random",
    "views": {"global_size": 64, "local_size": 32},
    "loss": {"grid": 2},
    "optim": {"batch_size": 4, "max_steps": 60, "epochs": 1000},
    "runtime": {
        "processes": 2,
        "nodes": 2,
        "workers": 0,
        "log_every": 1,
        "checkpoint_every_steps": 10,
        "probe_images": 0,
    },
}


class Lab:
    """Database and API on this machine, Redis on the first host, a worker on each of the others.

    Redis is reached through the network by workers, and by its Unix socket from here.
    """

    def __init__(self, folder, hosts, redis_socket, database_url, photos):
        self.folder, self.redis_socket = folder, redis_socket
        self.hosts = {host.name: host for host in hosts}
        self.environment = os.environ | {
            "PAKA_DATABASE_URL": database_url,
            "PAKA_ARTIFACTS": str(folder / "artifacts"),
            "PAKA_DATA_ROOTS": json.dumps([str(photos)]),
            "PAKA_LEASE_SECONDS": "4",
            "PAKA_MAX_ATTEMPTS": "6",  # a dead worker is announced for longer than such a lease
            "PAKA_RECONCILE_SECONDS": "0.5",
            "PAKA_MESSAGE_SECONDS": "1",
            "PAKA_STOP_SECONDS": "15",
        }
        self.processes = {}
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        redis = f"unix://{redis_socket}"
        self._start("api", subprocess.Popen, redis, "api", "--port", str(port))

    def start_worker(self, name):
        """Start the worker of a host."""
        self._start(name, self.hosts[name].popen, "redis://10.9.0.1:6379", "worker", "--queue=jobs")

    def kill(self, name):
        """Kill the worker of a host."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self):
        """Stop all parts, as an admin does."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(60)
        self.client.close()

    def get(self, path):
        """What the API answers, None until it does."""
        try:
            answer = self.client.get(path)
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success else None

    def wait_for(self, path, condition, seconds=60):
        """The first answer of which the condition holds."""
        deadline = time.monotonic() + seconds
        while (found := self.get(path)) is None or not condition(found):
            assert time.monotonic() < deadline, f"{found}\n{self._logs()}"
            time.sleep(0.05)
        return found

    def _start(self, name, popen, redis, *command):
        own = {"PAKA_REDIS_URL": redis, "PAKA_HOME": str(self.folder / name)}
        with (self.folder / f"{name}.log").open("ab") as log:
            arguments = [sys.executable, "-m", "service.cli", *command]
            self.processes[name] = popen(
                arguments, env=self.environment | own, stdout=log, stderr=log
            )

    def _logs(self):
        logs = [*self.folder.glob("*.log"), *self.folder.rglob("train.log")]
        return "\n".join(f"--- {log}\n{log.read_text()[-3000:]}" for log in logs)


@pytest.fixture
def lab(hosts, tmp_path, photos, postgres_server, postgresql_template):
    """A running lab of two workers, which know of each other."""
    run_sql(postgres_server, f"CREATE DATABASE two_hosts TEMPLATE {postgresql_template}")
    with short_folder() as folder:
        path = folder / "redis.sock"
        options = ["--bind", hosts[0].address, "--protected-mode", "no", "--unixsocket", path]
        redis = hosts[0].popen([redis_executable(), *options, "--save", "", "--dir", folder])
        made = Lab(tmp_path, hosts[1:], path, postgres_server.get_uri("two_hosts"), photos)
        try:
            wait_for_redis(redis, f"unix://{path}")
            for name in made.hosts:
                made.start_worker(name)
            made.wait_for("/cluster", lambda found: len(found["workers"]) == 2)
            yield made
        finally:
            made.stop()
            redis.terminate()
            redis.wait(10)
    run_sql(postgres_server, "DROP DATABASE two_hosts WITH (FORCE)")


def test_a_training_on_two_hosts_outlives_one_of_them(lab, photos):
    workers = lab.get("/cluster")["workers"]
    assert {one["host"]: one["address"] for one in workers} == {
        host.name: host.address for host in lab.hosts.values()
    }
    answer = lab.client.post("/train", json={**TRAINING, "dataset": str(photos)})
    assert answer.status_code == 202, answer.text
    path = f"/jobs/{answer.json()['id']}"
    job = lab.wait_for(path, lambda job: job["progress"] and job["progress"]["step"] > 5)
    first, second = (node["worker"].split(":")[0] for node in job["nodes"])
    assert {first, second} == lab.hosts.keys()
    assert [node["state"] for node in job["nodes"]] == ["running", "running"]
    slots = [slot for worker in lab.get("/cluster")["workers"] for slot in worker["slots"]]
    assert [slot["job"] for slot in slots] == [job["id"]] * 2

    lab.kill(second)
    lab.wait_for(path, lambda job: job["status"] == "queued")
    lab.start_worker(second)
    job = lab.wait_for(path, lambda job: job["status"] in TERMINAL)
    assert (job["status"], job["nodes"]) == ("succeeded", [])
    steps = [row["step"] for row in lab.get(f"{path}/metrics?limit=1000")["data"]]
    assert steps == list(range(1, 61))
    events = lab.client.get(f"{path}/events").text  # which ends with the job
    assert f"node 1: worker {second}:" in events
    assert "gave no sign of life for 4 s" in events
