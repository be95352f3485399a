"""What there is, read from the rows: nothing on the disk is looked at."""

import json
import re
from collections import defaultdict
from typing import NamedTuple

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session

from service.retention.policy import Item
from service.store.models import Checkpoint, Dataset, Encoder, Job, User
from service.store.status import TERMINAL, JobStatus

_JOB_ID = re.compile(r"job_[0-9a-z]{26}")


def inventory(session: Session) -> list[Item]:
    """Return all that counts, with what protects it."""
    used = _used_by_unfinished(session)
    items = []
    sizes = _sizes(session)
    columns = (Job.id, Job.user_id, Job.status, Job.pinned, Job.finished_at, Job.files_bytes)
    for job_id, user_id, status, pinned, ended_at, files_bytes in session.execute(select(*columns)):
        protected = "it is pinned" if pinned else used.get(job_id)
        if status not in TERMINAL:
            protected = f"its job is {status}"
        checkpoints, encoder = sizes[job_id]
        last = max((step for step, _ in checkpoints), default=None)
        resumable = status in (JobStatus.FAILED, JobStatus.CANCELLED)
        items += [
            Item(job_id, user_id, "checkpoint", size, ended_at, step, protected, needed)
            for step, size in checkpoints
            for needed in [resumable and step == last]
        ]
        if files_bytes:
            # With it goes what tells a resumed job how far it was.
            needed = resumable and bool(checkpoints)
            rest = Item(job_id, user_id, "artifacts", files_bytes, ended_at, None, protected)
            items.append(rest._replace(needed=needed))
        if encoder:
            items.append(Item(job_id, user_id, "encoder", encoder, ended_at, protected=protected))
    return items


class _Sizes(NamedTuple):
    checkpoints: list[tuple[int, int]]
    encoder: int = 0


def _sizes(session: Session) -> dict[str, _Sizes]:
    """Step and size of each checkpoint, and the encoder's size, by job."""
    sizes: dict[str, _Sizes] = defaultdict(lambda: _Sizes([]))
    rows = select(Checkpoint.job_id, Checkpoint.step, Checkpoint.bytes)
    for job_id, step, size in session.execute(rows):
        sizes.setdefault(job_id, _Sizes([])).checkpoints.append((step, size))
    for job_id, size in session.execute(select(Encoder.job_id, Encoder.bytes)):
        sizes[job_id] = sizes[job_id]._replace(encoder=size)
    return sizes


def _used_by_unfinished(session: Session) -> dict[str, str]:
    """Jobs whose results a queued or running job names in its config, and that job."""
    unfinished = select(Job.id, Job.config).where(Job.status.not_in(list(TERMINAL)))
    return {
        used: f"{job_id} uses it"
        for job_id, config in session.execute(unfinished)
        for used in _JOB_ID.findall(json.dumps(config))
    }


def is_used(session: Session, job_id: str) -> bool:
    """Whether a queued or running job names this one in its config."""
    names_it = cast(Job.config, String).contains(job_id, autoescape=True)
    query = select(Job.id).where(Job.status.not_in(list(TERMINAL)), names_it).limit(1)
    return session.scalar(query) is not None


class Usage(NamedTuple):
    """Bytes of one user, by what they are."""

    user: str
    checkpoints: int
    artifacts: int
    encoders: int
    uploads: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.checkpoints + self.artifacts + self.encoders + self.uploads


def usage(session: Session) -> list[Usage]:
    """Return every user's bytes, by name."""
    of_jobs = {
        "checkpoints": select(Job.user_id, func.sum(Checkpoint.bytes)).join_from(Checkpoint, Job),
        "artifacts": select(Job.user_id, func.sum(func.coalesce(Job.files_bytes, 0))),
        "encoders": select(Job.user_id, func.sum(Encoder.bytes)).join_from(Encoder, Job),
    }
    sums = {
        kind: {user: int(size) for user, size in session.execute(query.group_by(Job.user_id))}
        for kind, query in of_jobs.items()
    }
    uploads = select(Dataset.user_id, func.sum(Dataset.bytes)).group_by(Dataset.user_id)
    sums["uploads"] = {user: int(size) for user, size in session.execute(uploads)}
    users = session.execute(select(User.id, User.name).order_by(User.name)).all()
    return [
        Usage(name, **{kind: sizes.get(user_id, 0) for kind, sizes in sums.items()})
        for user_id, name in users
    ]
