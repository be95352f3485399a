"""The queue, the jobs, the slots that they hold, and what trainings say of themselves."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import get_args

from prometheus_client.metrics_core import Metric
from sqlalchemy.orm import Session

from paka.step_parts import PARTS
from service.metrics.families import counters, gauge, gauges
from service.store import counts
from service.store.base import utc_now
from service.store.counts import AttemptCounts, Progress
from service.store.models import PRIORITY_NAMES, JobKind
from service.store.settings import Settings
from service.store.status import TRANSITIONS, JobStatus

KINDS: tuple[JobKind, ...] = get_args(JobKind)
ENDINGS = sorted(cause for cause, move in TRANSITIONS.items() if JobStatus.RUNNING in move.sources)


def families(session: Session, settings: Settings, known: AttemptCounts) -> Iterator[Metric]:
    """What waits, and what became of all jobs.

    What there is none of is 0, so that whoever looks at rates sees the first.
    """
    found = counts.jobs_by_status(session)
    yield gauges(
        "paka_jobs",
        "Jobs that there are now.",
        ["kind", "status"],
        {(kind, one): found.get((kind, one), 0) for kind in KINDS for one in JobStatus},
    )
    waiting = {one.priority: one for one in counts.waiting_by_priority(session)}
    queue = {name: waiting.get(number) for number, name in PRIORITY_NAMES.items()}
    yield gauges(
        "paka_queue_length",
        "Jobs that wait.",
        ["priority"],
        {(name,): one.jobs if one else 0 for name, one in queue.items()},
    )
    now = utc_now()
    yield gauges(
        "paka_queue_oldest_seconds",
        "How long the job has waited that has waited for longest; 0 if none waits.",
        ["priority"],
        {(name,): (now - one.oldest).total_seconds() if one else 0 for name, one in queue.items()},
    )
    yield gauge("paka_queue_limit", "Jobs that may wait; more are refused.", settings.queue_limit)
    yield gauge("paka_queue_users", "Users whose jobs wait.", counts.users_waiting(session))
    attempts = known.read(session)
    started: Counter[str] = Counter()
    for (kind, _), count in attempts.items():
        started[kind] += count
    yield counters(
        "paka_attempts_started",
        "Attempts at jobs that were started, jobs that were removed included.",
        ["kind"],
        {(kind,): started[kind] for kind in KINDS},
    )
    yield counters(
        "paka_attempts_ended",
        "Attempts that ended, by what ended them; failed and exhausted end the job.",
        ["kind", "cause"],
        {(kind, cause): attempts[kind, cause] for kind in KINDS for cause in ENDINGS},
    )


def slots(running: Sequence[Progress], devices: Mapping[str, str]) -> Iterator[Metric]:
    """How many slots there are and how many jobs hold.

    Args:
        devices: what there is, by the slot's id.
    """
    total = Counter(devices.values())
    used = Counter(devices[one] for job in running for one in job.slot_ids or () if one in devices)
    yield gauges(
        "paka_slots",
        "Places for jobs' processes, by what they compute on.",
        ["device"],
        {(device,): count for device, count in total.items()},
    )
    yield gauges(
        "paka_slots_used",
        "Slots that running jobs hold.",
        ["device"],
        {(device,): used[device] for device in total},
    )


def trainings(running: Sequence[Progress], devices: Mapping[str, str]) -> Iterator[Metric]:
    """How fast trainings run, all on one kind of device together, by their last lines.

    By device, not by job: a private job's numbers are its owner's, and there are ever new jobs.
    """
    rows: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for job in running:
        if job.kind == "train" and job.progress and "step_seconds" in job.progress:
            rows[devices.get((job.slot_ids or [""])[0], "unknown")].append(job.progress)
    yield gauges(
        "paka_training_jobs",
        "Running trainings that have logged a step.",
        ["device"],
        {(device,): len(lines) for device, lines in rows.items()},
    )
    yield gauges(
        "paka_training_images_per_second",
        "Images that running trainings take in, all together.",
        ["device"],
        {
            (device,): sum(line.get("images_per_second") or 0 for line in lines)
            for device, lines in rows.items()
        },
    )
    yield gauges(
        "paka_training_step_seconds",
        "Time of a step, the mean over running trainings.",
        ["device"],
        {
            (device,): fmean(line["step_seconds"] for line in lines)
            for device, lines in rows.items()
        },
    )
    yield gauges(
        "paka_training_part_seconds",
        "Time of a part of a step, the mean over running trainings.",
        ["device", "part"],
        {
            (device, part): fmean(times)
            for device, lines in rows.items()
            for part in PARTS
            if (times := [line[key] for line in lines if (key := f"seconds_{part}") in line])
        },
    )
    yield gauges(
        "paka_training_peak_memory_bytes",
        "The most memory that a process of a running training has taken.",
        ["device"],
        {
            (device,): max(line.get("peak_memory_bytes") or 0 for line in lines)
            for device, lines in rows.items()
        },
    )
