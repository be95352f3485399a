"""A host's folders of jobs where the bucket is the truth: which of them go, and when.

The folder of a job that has ended goes at once when all of it is in the bucket. Other folders go
when they were not used for a day: weights that were fetched for other jobs, and what an attempt has
left that another host went on from.
"""

import json
import logging
import math
import shutil
import time
from pathlib import Path

from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.orm import Session

from paka.files import read_json
from service.store import queries
from service.store.bucket import MARK, NODES, Bucket, BucketError
from service.store.session import Database
from service.store.status import JobStatus
from service.store.transitions import locked
from worker.inputs import fetch_weights
from worker.uploads import lacks

log = logging.getLogger(__name__)

_GONE = ".gone-"
_IDLE_SECONDS = 86_400.0


def clear(database: Database, bucket: Bucket, ended: Path | None = None) -> None:
    """Remove what this host needs no more: of a job that may have `ended`, and of others.

    What goes wrong is only logged: the next time may be better.
    """
    try:
        # A node of it may still be bringing its log; then the folder goes after a day.
        if ended is not None and not any((ended / NODES).glob("*")):
            _drop(database, ended, JobStatus.RUNNING, JobStatus.QUEUED)
        _tidy(database, bucket)
    except (OSError, BucketError, DBAPIError) as error:
        log.warning("could not clear %s: %s", bucket.folder, error)


def weights_here(database: Database, bucket: Bucket, weights: str) -> str:
    """`fetch_weights`, for embedding: what was not used for long makes room."""
    found = fetch_weights(bucket, weights)
    clear(database, bucket)
    return found


def _drop(
    database: Database, folder: Path, *needed: JobStatus, unused_since: float = math.inf
) -> None:
    """Remove a job's folder from this host, unless its job is in one of the statuses `needed`, a
    running job reads from it, or it was used after `unused_since`, in Unix seconds.
    """
    with database.write() as session:
        try:
            if locked(session, folder.name).status in needed:
                return
        except NoResultFound:  # its user has deleted it
            pass
        # Within the transaction: nobody can claim the job and find half of its folder.
        if not folder.is_dir() or _is_used(session, folder, unused_since):
            return
        aside = folder.with_name(f"{_GONE}{folder.name}-{time.time_ns()}")
        folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)  # two workers of a host may both do it


def _is_used(session: Session, folder: Path, since: float) -> bool:
    """Whether a running job's config names what is in another job's folder, or it was used after
    `since`.
    """
    configs = [job.config for job in queries.running_jobs(session)]
    return folder.stat().st_mtime > since or folder.name in json.dumps(configs)


def _tidy(database: Database, bucket: Bucket) -> None:
    """Remove the folders of jobs that were not used for a day and can be fetched again.

    One without a mark is left alone: it may be older than the bucket, which then lacks it.
    """
    jobs = bucket.folder / "jobs"
    for left in jobs.glob(f"{_GONE}*"):
        shutil.rmtree(left, ignore_errors=True)
    old = time.time() - _IDLE_SECONDS
    idle = [mark.parent for mark in jobs.glob(f"*/{MARK}") if mark.parent.stat().st_mtime < old]
    with database.read() as session:
        attempts = {
            job_id: job.attempt
            for job_id, job in queries.jobs_by_id(session, [each.name for each in idle]).items()
        }
    for folder in idle:
        mark, attempt = read_json(folder / MARK), attempts.get(folder.name)
        stale = attempt is None or mark < attempt
        if stale or not lacks(bucket, folder):
            _drop(database, folder, JobStatus.RUNNING, unused_since=old)
