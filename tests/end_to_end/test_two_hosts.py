"""A training on two hosts of a network, each with a worker, and no disk in common."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import httpx
import pytest

from service.store.broker import make_redis
from service.store.contract import worker_key
from service.store.settings import Settings
from service.store.status import TERMINAL
from tests.fixtures.servers import redis_executable, run_sql, short_folder, wait_for_redis

SERVERS = "10.9.0.1"
TRAINING = {
    "preset": "tiny",
    "encoder": "test_vit@random",
    "views": {"global_size": 64, "local_size": 32},
    "loss": {"grid": 2},
    "optim": {"batch_size": 4, "max_steps": 30, "epochs": 1000},
    "runtime": {
        "processes": 2,
        "nodes": 2,
        "workers": 0,
        "log_every": 1,
        "checkpoint_every_steps": 5,
        "probe_images": 0,
    },
}


class Lab:
    """Database and API on this machine, Redis and S3 on the first host, a worker on each of the
    others.

    Servers are reached through the network by workers, and from here by Redis's Unix socket and
    S3's port on this machine.
    """

    def __init__(self, folder, hosts, redis_socket, s3_port, database_url, photos):
        self.folder, self.redis, self.s3_port = folder, f"unix://{redis_socket}", s3_port
        self.hosts = {host.name: host for host in hosts}
        self.environment = os.environ | {
            "PAKA_DATABASE_URL": database_url,
            "PAKA_ARTIFACTS_URL": "s3://lab/prefix",
            "PAKA_ARTIFACTS_SECONDS": "0.2",
            "AWS_ACCESS_KEY_ID": "paka-test",
            "AWS_SECRET_ACCESS_KEY": "correct-horse-battery",
            "AWS_DEFAULT_REGION": "us-east-1",
            "PAKA_DATA_ROOTS": json.dumps([str(photos)]),
            "PAKA_LEASE_SECONDS": "4",
            "PAKA_RECONCILE_SECONDS": "0.5",
            "PAKA_MESSAGE_SECONDS": "1",
            "PAKA_STOP_SECONDS": "15",
        }
        self.processes = {}
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self._start("api", subprocess.Popen, "127.0.0.1", self.redis, "api", "--port", str(port))

    def start_worker(self, name):
        """Start the worker of a host."""
        redis = f"redis://{SERVERS}:6379"
        self._start(name, self.hosts[name].popen, SERVERS, redis, "worker", "--queue=jobs")

    def kill(self, name):
        """Kill the worker of a host; that it was there is forgotten as it would be after 15 s."""
        workers = self.get("/cluster")["workers"]
        self.processes[name].kill()
        self.processes[name].wait()
        with make_redis(Settings(redis_url=self.redis)) as redis:
            redis.delete(
                *(worker_key("jobs", one["name"]) for one in workers if one["host"] == name)
            )

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

    def _start(self, name, popen, s3, redis, *command):
        own = {
            "PAKA_REDIS_URL": redis,
            "PAKA_HOME": str(self.folder / name),
            "AWS_ENDPOINT_URL": f"http://{s3}:{self.s3_port}",
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            arguments = [sys.executable, "-m", "service.cli", *command]
            self.processes[name] = popen(
                arguments, env=self.environment | own, stdout=log, stderr=log
            )

    def _logs(self):
        logs = [*self.folder.glob("*.log"), *self.folder.rglob("train.log")]
        return "\n".join(f"--- {log}\n{log.read_text()[-3000:]}" for log in logs)


@pytest.fixture
def s3_port(hosts):
    """Where an S3 server with a bucket `lab` is reached, on the first host and from here."""
    script = Path(__file__).parents[1] / "fixtures" / "s3_in_network.py"
    with socket.create_server(("127.0.0.1", 0)) as here:
        port, descriptor = here.getsockname()[1], here.fileno()
        command = [sys.executable, script, hosts[0].address, str(port), str(descriptor)]
        server = hosts[0].popen(command, pass_fds=[descriptor], stderr=subprocess.DEVNULL)
        try:
            # It listens already, so the request waits for the server.
            request = urllib.request.Request(f"http://127.0.0.1:{port}/lab", method="PUT")
            urllib.request.urlopen(request, timeout=60).close()
            yield port
        finally:
            server.terminate()
            server.wait(10)


@pytest.fixture
def lab(hosts, s3_port, tmp_path, photos, postgres_server, postgresql_template):
    """A running lab of two workers, which know of each other."""
    run_sql(postgres_server, f"CREATE DATABASE two_hosts TEMPLATE {postgresql_template}")
    with short_folder() as folder:
        path = folder / "redis.sock"
        options = ["--bind", hosts[0].address, "--protected-mode", "no", "--unixsocket", path]
        redis = hosts[0].popen([redis_executable(), *options, "--save", "", "--dir", folder])
        wait_for_redis(redis, f"unix://{path}")
        database_url = postgres_server.get_uri("two_hosts")
        made = Lab(tmp_path, hosts[1:], path, s3_port, database_url, photos)
        try:
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
    lab.wait_for(f"{path}/checkpoints", lambda found: found["data"])
    job = lab.get(path)
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
    assert steps == list(range(1, 31))
    events = lab.client.get(f"{path}/events").text  # which ends with the job
    assert f"node 1: worker {second}:" in events
    assert "gave no sign of life for 4 s" in events

    weights = lab.client.get(f"/encoders/{job['encoder']}/weights")
    encoder = lab.get(f"/encoders/{job['encoder']}")
    assert hashlib.sha256(weights.content).hexdigest() == encoder["sha256"]
    assert lab.client.get(f"{path}/log").text
    assert not (lab.folder / "api" / "artifacts").exists()
