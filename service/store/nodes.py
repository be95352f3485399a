"""Jobs of several nodes: each node's part in an attempt, which its worker takes and keeps alive.

The parts of an attempt appear with its claim and go with its end, in the same transactions: a
worker whose part is gone ends what it runs. All functions take an open session.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from service.store.attempts import Lease, LeaseLost
from service.store.models import JobNode, NodeEnding
from service.store.places import Share


class Part(NamedTuple):
    """A worker's right to run one node of an attempt."""

    job_id: str
    attempt: int
    rank: int
    owner: str
    slot_ids: tuple[str, ...]
    rendezvous: str

    @property
    def held(self) -> ColumnElement[bool]:
        """True in the database for as long as the attempt goes on."""
        return (
            (JobNode.job_id == self.job_id)
            & (JobNode.attempt == self.attempt)
            & (JobNode.rank == self.rank)
            & (JobNode.owner == self.owner)
        )


class PartLost(Exception):
    """The attempt has ended, while this worker ran a part of it."""

    def __init__(self, part: Part) -> None:
        super().__init__(f"attempt {part.attempt} of {part.job_id} is over for node {part.rank}")


def open_parts(session: Session, lease: Lease, shares: Sequence[Share], rendezvous: str) -> None:
    """Write the parts of an attempt that was claimed in the same transaction; the first is its own.

    Args:
        rendezvous: where they will meet, on the host of the first.
    """
    for rank, share in enumerate(shares):
        session.add(
            JobNode(
                job_id=lease.job_id,
                attempt=lease.attempt,
                rank=rank,
                worker=share.worker,
                slot_ids=list(share.slots),
                rendezvous=rendezvous,
                owner=None if rank else lease.owner,
            )
        )
    session.flush()


def take(session: Session, worker: str, owner: str) -> Part | None:
    """Take a part that waits for this worker; None if there is none.

    Args:
        owner: who may write about the part; no other has the same.
    """
    first = select(JobNode.id).where(JobNode.worker == worker, JobNode.owner.is_(None)).limit(1)
    row = session.scalar(
        update(JobNode)
        .where(JobNode.id == first.scalar_subquery(), JobNode.owner.is_(None))
        .values(owner=owner)
        .returning(JobNode)
    )
    return None if row is None else _part(row, owner)


def begin(session: Session, lease: Lease) -> Part:
    """The part of an attempt's first node, whose owner holds the lease; the others may begin.

    Raises:
        LeaseLost: the attempt is over; nothing was written.
    """
    first = (JobNode.job_id == lease.job_id) & (JobNode.attempt == lease.attempt)
    first &= (JobNode.rank == 0) & (JobNode.owner == lease.owner)
    row = session.scalar(update(JobNode).where(first).values(beats=1).returning(JobNode))
    if row is None:
        raise LeaseLost(lease)
    return _part(row, lease.owner)


def has_begun(session: Session, job_id: str) -> bool:
    """Whether the worker of the first node has its files, and the others need not wait for it."""
    begun = (JobNode.job_id == job_id) & (JobNode.rank == 0) & (JobNode.beats > 0)
    return session.scalar(select(JobNode.id).where(begun)) is not None


def awaits(session: Session, worker: str) -> bool:
    """Whether a part waits for this worker."""
    waiting = select(JobNode.id).where(JobNode.worker == worker, JobNode.owner.is_(None))
    return session.scalar(waiting.limit(1)) is not None


def incomplete(session: Session, job_id: str) -> bool:
    """Whether a part of the job waits for its worker."""
    waiting = select(JobNode.id).where(JobNode.job_id == job_id, JobNode.owner.is_(None))
    return session.scalar(waiting.limit(1)) is not None


def beat(session: Session, part: Part) -> None:
    """Show that the part's worker lives.

    Raises:
        PartLost: the attempt is over; nothing was written.
    """
    _write(session, part, beats=JobNode.beats + 1)


def end(session: Session, part: Part, ending: NodeEnding, problem: str | None) -> None:
    """Say how the part's process ended: by itself, with an error of which it told, or neither.

    Raises:
        PartLost: the attempt is over; nothing was written.
    """
    _write(session, part, ending=ending, problem=problem)


def parts_of(session: Session, job_id: str) -> Sequence[JobNode]:
    """The parts of a running job by rank; none if it has one node only."""
    return session.scalars(
        select(JobNode).where(JobNode.job_id == job_id).order_by(JobNode.rank)
    ).all()


def _part(row: JobNode, owner: str) -> Part:
    return Part(row.job_id, row.attempt, row.rank, owner, tuple(row.slot_ids), row.rendezvous)


def _write(session: Session, part: Part, **values: object) -> None:
    written = update(JobNode).where(part.held).values(values).returning(JobNode.id)
    if session.scalar(written) is None:
        raise PartLost(part)
