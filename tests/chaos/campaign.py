"""Faults by chance on a running service, and a table of what came of them."""

import hashlib
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paka import presets
from tests.chaos import invariants
from tests.chaos.faults import Scene
from tests.chaos.system import (
    CHECKPOINT_EVERY,
    WAIT_SECONDS,
    Service,
    copy_photos,
    train_config,
    wait_for,
)
from tests.chaos.watch import Watch

Fault = Callable[[Scene], None]
END_SECONDS = 600


@dataclass
class Tally:
    """What one kind of fault did: how often, to which jobs, and how soon they went on."""

    times: int = 0
    jobs: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)


@dataclass
class Report:
    """What came of a campaign; empty lists of `broken` and `lost` are what is promised."""

    tallies: dict[str, Tally]
    jobs: list[str]
    lost: list[str]
    doubled: dict[str, set[str]]
    compared: list[str]
    unequal: list[str]
    broken: list[str]

    @property
    def sound(self) -> bool:
        """Whether everything held."""
        return not (self.lost or self.doubled or self.unequal or self.broken)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each kind of fault."""
        return [
            {
                "fault": name,
                "times": tally.times,
                "jobs": len(tally.jobs),
                "lost": len(tally.jobs & set(self.lost)),
                "doubled": len(tally.jobs & self.doubled.keys()),
                "compared": len(tally.jobs & set(self.compared)),
                "weights_equal": len(tally.jobs & set(self.compared) - set(self.unequal)),
                "median_seconds": round(statistics.median(tally.seconds), 1),
                "max_seconds": round(max(tally.seconds), 1),
            }
            for name, tally in self.tallies.items()
        ]


def run(
    service: Service,
    faults: Sequence[Fault],
    reference: str,
    *,
    steps: int,
    at_once: int,
    chance: random.Random,
    pause: float = 1.0,
    seconds: float = math.inf,
    say: Callable[[str], None] = print,
) -> Report:
    """Let the faults happen one after the other while jobs run; then wait for all to end.

    Args:
        reference: sha256 of the weights that an undisturbed run makes.
        steps: of each job.
        at_once: jobs that wait or run at any time.
        pause: seconds, at most, between finding a job and its fault.
        seconds: after which no further fault happens.
    """
    watch = Watch(service)
    watch.start()
    made: list[str] = []
    tallies: dict[str, Tally] = {}
    broken: list[str] = []
    until = time.monotonic() + seconds
    for number, fault in enumerate(faults, 1):
        if time.monotonic() > until:
            break
        name = fault.__name__
        try:
            job_id = _next_job(service, made, steps, at_once)
            recovered = _strike(service, fault, job_id, chance, pause)
        except Exception as error:  # the campaign goes on: one trouble must not hide the others
            broken.append(f"{name}: {error!r}")
            say(broken[-1])
            continue
        tally = tallies.setdefault(name, Tally())
        tally.times += 1
        tally.jobs.add(job_id)
        tally.seconds.append(recovered)
        say(f"{number:>4} {name:<30} {job_id} recovered in {recovered:5.1f} s")
    lost = _wait_for_all(service, made)
    watch.stop()
    ended = [job_id for job_id in made if job_id not in lost]
    for job_id in ended:
        broken += invariants.of_job(service, job_id)
    compared = [job_id for job_id in ended if job_id not in service.spoilt]
    unequal = [job_id for job_id in compared if invariants.weights(service, job_id) != reference]
    broken += invariants.of_service(service)
    return Report(tallies, made, lost, watch.doubled, compared, unequal, broken)


def _next_job(service: Service, made: list[str], steps: int, at_once: int) -> str:
    """A job that runs and has some way to go; others wait behind it."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        whole = [job_id for job_id in made if job_id not in service.spoilt]
        open_jobs = [job_id for job_id in whole if not service.ended(job_id)]
        while len(open_jobs) < at_once:
            made.append(service.submit(steps))
            open_jobs.append(made[-1])
        for job_id in open_jobs:
            going = 0 < service.step(job_id) <= steps - 2 * CHECKPOINT_EVERY
            if going and service.job(job_id).status == "running" and service.trainings(job_id):
                return job_id
        time.sleep(0.1)
    raise TimeoutError("no job runs")


def _strike(
    service: Service, fault: Fault, job_id: str, chance: random.Random, pause: float
) -> float:
    """Let a fault happen at a random moment; return the seconds until the job has gone on."""
    time.sleep(chance.uniform(0, pause))
    started = time.monotonic()
    fault(Scene(service, job_id, chance))
    before = service.step(job_id)
    # A process that was told to leave may still do a step or two.
    wait_for(
        lambda: service.ended(job_id) or service.step(job_id) > before + 2,
        f"{job_id} to go on after {fault.__name__}",
        END_SECONDS,
    )
    return time.monotonic() - started


def _wait_for_all(service: Service, made: list[str]) -> list[str]:
    """Wait for the jobs to end; return those that do not."""
    until = time.monotonic() + END_SECONDS
    while time.monotonic() < until:
        if all(service.ended(job_id) for job_id in made):
            break
        time.sleep(0.2)
    return [job_id for job_id in made if not service.ended(job_id)]


def undisturbed(folder: Path, photos: Path, steps: int) -> str:
    """Train as a job does, without any service; return the sha256 of the weights."""
    copy_photos(photos, folder / "data")
    body = train_config(steps, str(folder / "data"))
    body["encoder"] = {"architecture": "test_vit", "weights": "random"}
    config = presets.resolve(body, body.pop("preset"))
    (folder / "config.json").write_text(config.model_dump_json())
    subprocess.run([sys.executable, "-m", "paka.launch", "--run", str(folder)], check=True)
    file = folder / "final" / "encoder.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest()
