"""Making room once: choose, drop the rows, remove the files, clear what earlier runs have left."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import NoResultFound

from paka.run_folder import step_folder
from service.audit.log import audit
from service.auth.actor import Actor
from service.retention.files import checkpoints, orphans, remove_all, sizes_of_rest
from service.retention.inventory import inventory, is_used
from service.retention.leftovers import ASIDE, put_aside, remove
from service.retention.policy import Choice, Policy, choose
from service.retention.schemas import Collected, Orphan, Removed
from service.store import jobs
from service.store.base import utc_now
from service.store.models import Checkpoint, Encoder, Job
from service.store.session import Database
from service.store.settings import Settings
from service.store.status import TERMINAL

log = logging.getLogger(__name__)

_MAX_STEP = 10**8


def collect(
    database: Database, settings: Settings, actor: Actor | None, *, dry_run: bool
) -> Collected:
    """Make room as the settings say.

    Several processes may do it at the same time: each job is looked at again before it is touched.

    Args:
        actor: who wants it; None for the service itself.
        dry_run: only say what would go; nothing is changed.
    """
    if not dry_run:
        measure(database, settings)
        _clear_put_aside(settings)
    policy = Policy.of(settings)
    with database.read() as session:
        items = inventory(session)
        names = session.execute(select(Job.id)).scalars().all()
    choices = choose(items, policy, utc_now())
    left = orphans(settings, set(names))
    if not dry_run:
        choices = _remove(database, settings, actor, choices)
        for orphan in left:
            remove_all(settings, [orphan.path])
            log.info("%s belonged to no job: removed", orphan.path)
        _clear_unclaimed(database, settings)
    removed = [Removed(**item._asdict(), reason=reason) for item, reason in choices]
    return Collected(
        dry_run=dry_run,
        policy_set=policy.is_set,
        removed=removed,
        orphans=[Orphan(path=str(path), bytes=size) for path, size in left],
        bytes=sum(one.bytes for one in removed) + sum(one.bytes for one in left),
        kept_bytes=sum(item.bytes for item in items) - sum(one.bytes for one in removed),
    )


def _remove(
    database: Database, settings: Settings, actor: Actor | None, choices: Sequence[Choice]
) -> list[Choice]:
    """Remove what was chosen, job by job; return what went."""
    of_jobs: dict[str, list[Choice]] = defaultdict(list)
    for choice in choices:
        of_jobs[choice.item.job_id].append(choice)
    gone: list[Choice] = []
    for job_id, chosen in of_jobs.items():
        try:
            if _drop_rows(database, actor, job_id, chosen):
                gone += chosen
                _remove_files(database, settings, job_id, _paths(settings, chosen))
        except NoResultFound:  # its user has just deleted it
            continue
    return gone


def _drop_rows(
    database: Database, actor: Actor | None, job_id: str, chosen: Sequence[Choice]
) -> bool:
    """Drop what is offered, with a word of why; False if something protects the job by now."""
    kinds = {choice.item.kind for choice in chosen}
    reason = "; ".join(dict.fromkeys(choice.reason for choice in chosen))
    size = sum(choice.item.bytes for choice in chosen)
    with database.write() as session:
        if is_used(session, job_id):
            return False
        done = jobs.collect(
            session,
            job_id,
            [item.step for item, _ in chosen if item.step is not None],
            artifacts="artifacts" in kinds,
            encoder="encoder" in kinds,
            reason=reason,
        )
        if done:
            audit(session, actor, "job.collect", job_id, {"bytes": size, "reason": reason})
    return done


def _paths(settings: Settings, chosen: Iterable[Choice]) -> list[Path]:
    """The files and folders of what was chosen, all of one job."""
    paths: list[Path] = []
    for item, _ in chosen:
        folder = settings.job_folder(item.job_id)
        if item.kind == "checkpoint":
            paths.append(step_folder(folder / "checkpoints", item.step or 0))
        elif item.kind == "encoder":
            paths.append(folder / "final")
        else:
            paths += sizes_of_rest(settings, item.job_id)
    return paths


def _remove_files(
    database: Database, settings: Settings, job_id: str, paths: Sequence[Path]
) -> None:
    """Remove files whose rows are gone, unless the job goes on by now: then it may use them."""
    with database.write() as session:
        if not jobs.has_ended(session, job_id):
            return
        if settings.artifacts_url is None:  # in a bucket nothing can be renamed, nor waited for
            paths = list(put_aside(paths, settings.job_folder(job_id)))
    remove_all(settings, paths)


def measure(database: Database, settings: Settings) -> None:
    """Note how much ended jobs have left beside checkpoints and encoders, where it is unknown."""
    with database.read() as session:
        query = select(Job.id).where(Job.status.in_(list(TERMINAL)), Job.files_bytes.is_(None))
        unknown = session.scalars(query).all()
    for job_id in unknown:
        size = sum(sizes_of_rest(settings, job_id).values())
        with database.write() as session:
            jobs.note_size(session, job_id, size)


def _clear_put_aside(settings: Settings) -> None:
    """Remove what a run that was killed had out of sight already."""
    for path in settings.artifacts_folder.glob(f"jobs/*/{ASIDE}*"):
        remove(path)


def _clear_unclaimed(database: Database, settings: Settings) -> None:
    """Remove files that a run which was killed had dropped the rows of."""
    with database.read() as session:
        query = select(Job).where(Job.collected_at > Job.finished_at)
        collected = session.scalars(query).all()
        offered = set(session.scalars(select(Encoder.job_id)))
        latest = select(Checkpoint.job_id, func.max(Checkpoint.step)).group_by(Checkpoint.job_id)
        kept: dict[str, int] = dict(iter(session.execute(latest)))
        named = set(session.scalars(select(Checkpoint.path)))
    for job in collected:
        folder = settings.job_folder(job.id)
        unclaimed = [] if job.files_bytes else list(sizes_of_rest(settings, job.id))
        if job.id not in offered:
            unclaimed.append(folder / "final")
        # Of a worker that was killed, the rows may lack the latest.
        until = step_folder(folder / "checkpoints", kept.get(job.id, _MAX_STEP))
        unclaimed += [
            path
            for path in checkpoints(settings, job.id)
            if path < until and str(path.relative_to(settings.artifacts_folder)) not in named
        ]
        _remove_files(database, settings, job.id, unclaimed)
