"""What must hold whatever has happened: each function returns what is wrong, in words."""

import hashlib
from itertools import pairwise
from pathlib import Path

from sqlalchemy import select

from service.store import queries
from service.store.models import Attempt, Job, JobEvent
from service.store.status import TERMINAL, JobStatus, allowed
from tests.chaos.system import CHECKPOINT_EVERY, Service, marked


def of_job(service: Service, job_id: str, wanted: str = "succeeded") -> list[str]:
    """What is wrong with a job that has had the time to end."""
    with service.database.read() as session:
        job = queries.job_by_id(session, job_id)
        events = list(
            session.scalars(select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.id))
        )
        attempts = list(
            session.scalars(
                select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.attempt)
            )
        )
    if job is None:
        return [f"{job_id} is gone"]
    found = [
        *_of_end(job, wanted),
        *_of_events(job, events),
        *_of_attempts(job, attempts),
        *_of_metrics(service, job, events),
        *_of_files(service.settings.job_folder(job_id)),
    ]
    return [f"{job_id}: {text}" for text in found]


def _of_end(job: Job, wanted: str) -> list[str]:
    if job.status == wanted:
        return []
    return [f"it is {job.status} ({job.error}) and not {wanted}"]


def _of_events(job: Job, events: list[JobEvent]) -> list[str]:
    """One legal way from `queued` to the one end; attempts never go back."""
    path = [JobStatus(event.message) for event in events if event.type == "status"]
    found = []
    if not path or path[0] != JobStatus.QUEUED or path[-1] != job.status:
        found.append(f"its events tell of {path}, and it is {job.status}")
    if illegal := set(pairwise(path)) - allowed():
        found.append(f"illegal changes {illegal}")
    if sum(status in TERMINAL for status in path) != 1:
        found.append(f"not exactly one end: {path}")
    if any(later.attempt < earlier.attempt for earlier, later in pairwise(events)):
        found.append("an event of an earlier attempt after one of a later")
    return found


def _of_attempts(job: Job, attempts: list[Attempt]) -> list[str]:
    """Each claim is there once, and has ended. (The database allows one open attempt a job.)"""
    found = []
    if [attempt.attempt for attempt in attempts] != list(range(1, job.attempt + 1)):
        found.append(f"{job.attempt} attempts, and rows of {[a.attempt for a in attempts]}")
    if still := [attempt.attempt for attempt in attempts if attempt.ended_at is None]:
        found.append(f"attempts {still} have no end")
    return found


def _of_metrics(service: Service, job: Job, events: list[JobEvent]) -> list[str]:
    """Every step is told, and no attempt begins further back than one checkpoint's interval."""
    total = job.config["optim"]["max_steps"]
    rows = service.get(f"/jobs/{job.id}/metrics?limit=1000")["data"]
    found = []
    if (steps := [row["step"] for row in rows]) != list(range(1, total + 1)):
        found.append(f"its metrics have the steps {steps}")
    done = 0
    by_attempt: dict[int, list[int]] = {}
    for event in events:
        if event.type == "metrics" and event.step is not None:
            by_attempt.setdefault(event.attempt, []).append(event.step)
    for attempt, told in sorted(by_attempt.items()):
        if done - (told[0] - 1) > CHECKPOINT_EVERY:
            found.append(f"attempt {attempt} begins at step {told[0]} after step {done} was done")
        done = max(done, *told)
    return found


def _of_files(folder: Path) -> list[str]:
    """Nothing that was only for the moment."""
    left = [str(path.relative_to(folder)) for path in folder.rglob(".*")]
    return [f"left behind: {left}"] if left else []


def weights(service: Service, job_id: str) -> str:
    """The sha256 of what a job made; what the API says of it must agree."""
    file = service.folder_of(job_id).final / "encoder.safetensors"
    if not file.exists():
        return "none"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    told = service.get(f"/encoders/{service.get(f'/jobs/{job_id}')['encoder']}")["sha256"]
    return sha256 if sha256 == told else f"{sha256}, told as {told}"


def of_service(service: Service) -> list[str]:
    """What is wrong with a service whose jobs have all ended."""
    found = [f"orphan process {process}" for process in marked(service.folder)]
    with service.database.read() as session:
        running = session.scalars(select(Job.id).where(Job.status.not_in(TERMINAL))).all()
        still_open = session.scalars(select(Attempt.job_id).where(Attempt.ended_at.is_(None))).all()
        held = session.scalars(select(Job.id).where(Job.slot_ids.is_not(None))).all()
    found += [f"{job_id} has not ended" for job_id in running]
    found += [f"{job_id} has an open attempt" for job_id in still_open]
    found += [f"{job_id} still holds its slots" for job_id in held]
    return found
