"""What can go wrong, each as a function that does it to the service while a job is running.

A fault does the harm and what an admin's supervisor would do at once (start again what was killed);
that the service then recovers by itself is for the others to see.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from service.store.broker import make_celery
from service.store.contract import JOBS_QUEUE, RUN_JOB_TASK
from tests.chaos.servers import PostgresServer
from tests.chaos.system import Service, wait_for


class Scene(NamedTuple):
    """Where a fault happens: a job that is running, and a source of chance."""

    service: Service
    job_id: str
    chance: random.Random


def training_killed(scene: Scene) -> None:
    """SIGKILL to the training process."""
    kill_all(scene.service.trainings(scene.job_id))


def training_killed_in_checkpoint(scene: Scene) -> None:
    """SIGKILL to the training process while it writes a checkpoint."""
    processes = scene.service.trainings(scene.job_id)
    folder = scene.service.folder_of(scene.job_id).checkpoints
    until = time.monotonic() + 30
    while not any(folder.glob(".step-*.tmp")):
        if scene.service.ended(scene.job_id) or time.monotonic() > until:
            break
    time.sleep(scene.chance.uniform(0, 0.03))
    kill_all(processes)


def worker_killed(scene: Scene) -> None:
    """SIGKILL to the worker that runs the job; another one takes its place."""
    if name := scene.service.worker_of(scene.job_id):
        scene.service.kill(name)
        scene.service.start(name)


def api_killed(scene: Scene) -> None:
    """SIGKILL to the API."""
    scene.service.kill("api")
    scene.service.start("api")


def worker_deployed(scene: Scene) -> None:
    """SIGTERM to the worker that runs the job, and a new one when it has left."""
    if name := scene.service.worker_of(scene.job_id):
        scene.service.signal(name, signal.SIGTERM)
        scene.service.processes[name].wait(90)
        scene.service.start(name)


def worker_hangs(scene: Scene) -> None:
    """The worker stops for longer than its lease, its training going on; then it wakes up."""
    service = scene.service
    if not (name := service.worker_of(scene.job_id)):
        return
    attempt = service.job(scene.job_id).attempt
    service.signal(name, signal.SIGSTOP)
    service.start(f"{name}+")
    wait_for(lambda: service.job(scene.job_id).attempt > attempt, "another worker to take the job")
    time.sleep(scene.chance.uniform(0, 3))
    service.signal(name, signal.SIGCONT)
    time.sleep(scene.chance.uniform(0, 3))
    service.signal(name, signal.SIGTERM)
    service.processes.pop(name).wait(90)


def redis_lost(scene: Scene) -> None:
    """Redis is killed, and comes back empty."""
    scene.service.redis.kill()
    time.sleep(scene.chance.uniform(0, 2))
    scene.service.redis.start()


def postgres_restarted(scene: Scene) -> None:
    """PostgreSQL tells its sessions to go, and is back at once."""
    assert isinstance(scene.service.server, PostgresServer)
    scene.service.server.restart("fast")


def postgres_crashed(scene: Scene) -> None:
    """PostgreSQL ends without a word, and has to recover from its log."""
    assert isinstance(scene.service.server, PostgresServer)
    scene.service.server.restart("immediate")


def postgres_away(scene: Scene) -> None:
    """PostgreSQL is away for longer than a lease."""
    assert isinstance(scene.service.server, PostgresServer)
    scene.service.server.stop("fast")
    time.sleep(scene.service.settings.lease_seconds * scene.chance.uniform(1.2, 2))
    scene.service.server.start()


def messages_doubled(scene: Scene) -> None:
    """Every message that waits is there twice, and every job of the service gets one more."""
    service = scene.service
    with service.redis.client() as client:
        for message in client.lrange(JOBS_QUEUE, 0, -1):
            client.lpush(JOBS_QUEUE, message)
    celery = make_celery(service.settings)
    for job in service.get("/jobs?limit=100")["data"]:
        celery.send_task(RUN_JOB_TASK, args=[job["id"]], task_id=job["id"])
    celery.close()


def messages_lost(scene: Scene) -> None:
    """The messages that wait are gone."""
    with scene.service.redis.client() as client:
        client.delete(JOBS_QUEUE)


def disk_full(scene: Scene) -> None:
    """Nothing as large as a checkpoint can be written, until one has failed."""
    service, small = scene.service, 2**20
    warnings = service.folder_of(scene.job_id).warnings
    for process in service.trainings(scene.job_id):
        process.rlimit(psutil.RLIMIT_FSIZE, (small, psutil.RLIM_INFINITY))
    until = time.monotonic() + 30
    while not warnings.exists() and not service.ended(scene.job_id) and time.monotonic() < until:
        time.sleep(0.05)
    for process in service.trainings(scene.job_id):
        process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


def images_harmed(scene: Scene) -> None:
    """Of the images on which the job trains, one is cut short and one removed."""
    service = scene.service
    service.spoilt.add(scene.job_id)
    images = sorted(Path(service.job(scene.job_id).config["dataset"]).iterdir())
    cut, gone = scene.chance.sample(images, 2)
    os.truncate(cut, 1000)
    gone.unlink()


def clock_jumps(scene: Scene) -> None:
    """The clock of the API or of a worker is set anew, by up to a day."""
    name = scene.chance.choice(["api", *scene.service.workers])
    hours = scene.chance.choice([-24, -1, 0, 1, 24]) + scene.chance.uniform(-0.01, 0.01)
    scene.service.clock(name).write_text(str(hours * 3600))


def power_fails(scene: Scene) -> None:
    """Everything is killed at once, and started again."""
    service = scene.service
    names = ["api", *service.workers]
    for name in names:
        service.processes[name].kill()
    kill_all(service.trainings(scene.job_id))
    service.redis.kill()
    if isinstance(service.server, PostgresServer):
        service.server.restart("immediate")
    service.redis.start()
    for name in names:
        service.processes[name].wait()
        service.start(name)


def kill_all(processes: list[psutil.Process]) -> None:
    """Kill what is still there of some processes."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


ANYWHERE: tuple[Callable[[Scene], None], ...] = (
    training_killed,
    training_killed_in_checkpoint,
    worker_killed,
    api_killed,
    worker_deployed,
    worker_hangs,
    redis_lost,
    messages_doubled,
    messages_lost,
    clock_jumps,
    disk_full,
    images_harmed,
    power_fails,
)
ON_POSTGRES: tuple[Callable[[Scene], None], ...] = (
    postgres_restarted,
    postgres_crashed,
    postgres_away,
)
