"""The month's jobs: by day and by night, sweeps of a hundred, 1 to 8 GPUs, three priorities."""

import math
import random
from typing import NamedTuple

GPUS, USERS, DAYS = 8, 20, 30
HOUR, DAY = 3600.0, 24 * 3600.0
LOAD = 0.85
"""What is asked for in the month, as a share of what the GPUs can do."""

_HEAVY, _USUAL = 5, 10  # users; the rest are light ones
_SWEEP = 100


class Submission(NamedTuple):
    """A job as its user submits it: `seconds` it takes, `expected` it is thought to take."""

    at: float
    user: str
    priority: int
    slots: int
    seconds: float
    expected: float


def submissions(seed: int) -> list[Submission]:
    """The jobs, by time."""
    chance = random.Random(seed)
    jobs: list[Submission] = []
    for number in range(USERS):
        user = f"user-{number:02}"
        heavy, light = number < _HEAVY, number >= _HEAVY + _USUAL
        jobs += [
            _submission(chance, user, _working_time(chance), admin=number == 0)
            for _ in range(160 if heavy else 15 if light else 60)
        ]
        if heavy:
            one = _submission(chance, user, _working_time(chance), admin=False)
            one = one._replace(slots=1, seconds=min(one.seconds, 2 * HOUR))
            jobs += [_vary(chance, one) for _ in range(_SWEEP)]
    scale = LOAD * GPUS * DAYS * DAY / sum(job.slots * job.seconds for job in jobs)
    return sorted(
        job._replace(seconds=job.seconds * scale, expected=job.expected * scale) for job in jobs
    )


def _submission(chance: random.Random, user: str, at: float, admin: bool) -> Submission:
    slots = chance.choices((1, 2, 4, 8), (70, 16, 9, 5))[0]
    priority = chance.choices((0, 1, 2), (20, 75, 5) if admin else (20, 80, 0))[0]
    seconds = min(chance.lognormvariate(math.log(1.5 * HOUR), 1.0), 20 * HOUR)
    return _vary(chance, Submission(at, user, priority, slots, seconds, 0.0))


def _vary(chance: random.Random, job: Submission) -> Submission:
    """The same a little shorter or longer, and a guess of how long."""
    seconds = job.seconds * chance.uniform(0.8, 1.2)
    return job._replace(seconds=seconds, expected=seconds * chance.lognormvariate(0, 0.4))


def _working_time(chance: random.Random) -> float:
    """A time in the month, most often on a weekday between nine and six."""
    while True:
        at = chance.uniform(0, DAYS * DAY)
        day, hour = int(at // DAY) % 7, at % DAY / HOUR
        if chance.random() < (1.0 if 9 <= hour < 18 else 0.15) * (1.0 if day < 5 else 0.25):
            return at
