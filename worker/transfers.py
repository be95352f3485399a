"""Files of one attempt at a job: brought to this host before it, to the bucket during and after it.

Without a bucket nothing is done: then all hosts share one folder of artifacts.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from paka.files import read_json, write_json
from service.store import nodes
from service.store.attempts import Lease, LeaseLost
from service.store.bucket import MARK, NODES, BucketError, bucket_of
from service.store.models import Job
from service.store.nodes import Part
from service.store.session import Database
from service.store.settings import Settings
from worker.cache import clear
from worker.hold import hold, insist
from worker.inputs import fetch_inputs, needs_no_bucket, use_folder
from worker.process import kill_marked
from worker.uploads import Uploads

log = logging.getLogger(__name__)

T = TypeVar("T")
_LOOK_SECONDS = 0.25


class Transfers:
    """Those of the worker that claimed the job, and whose process writes what the job makes.

    Args:
        stopping: set when the worker should leave.
    """

    def __init__(
        self, database: Database, settings: Settings, lease: Lease, stopping: threading.Event
    ) -> None:
        self.database, self.settings = database, settings
        self.lease, self.stopping = lease, stopping
        self.bucket = bucket_of(settings)
        self.folder = settings.job_folder(lease.job_id)
        self._uploads: Uploads | None = None

    def prepare(self, config: dict[str, Any]) -> dict[str, Any]:
        """Have all on this host that the attempt goes on from and reads; return its config with
        the paths that weights have here.

        Raises:
            BucketError: the bucket was away for `artifacts_retry_seconds`.
            EncoderError: weights that the config names are not in the bucket any more.
            LeaseLost: the job is another's.
        """
        if self.bucket is None:
            return needs_no_bucket(config)
        return self._patiently(lambda: self._fetch(config))

    @contextmanager
    def while_running(self) -> Iterator[None]:
        """Bring to the bucket what the job's process writes, until the block ends."""
        if self.bucket is None:
            yield
            return
        pause = self.settings.artifacts_seconds
        self._uploads = Uploads(self.bucket, self.folder, pause, self._check_lease)
        self._uploads.start()
        try:
            yield
        finally:
            self._uploads.stop()

    def finish(self) -> str | None:
        """Have all in the bucket that the attempt made; return why not, if that failed for
        `artifacts_retry_seconds`, or the worker or the job should leave.

        Raises:
            LeaseLost: the job is another's.
        """
        if self._uploads is None:
            return None
        try:
            self._patiently(self._uploads.finish)
        except BucketError as error:
            return f"what the job made is on its worker only: {error}"
        return None

    def clear(self) -> None:
        """Remove from this host what is in the bucket: of this job if it has ended, and of others
        that were not used for long.
        """
        if self.bucket is not None:
            clear(self.database, self.bucket, self.folder)

    def _fetch(self, config: dict[str, Any]) -> dict[str, Any]:
        assert self.bucket is not None
        mark, attempt = self.folder / MARK, self.lease.attempt
        # What this attempt or the one before it has left here is as new as can be; all else is
        # stale.
        if not mark.exists() or read_json(mark) not in (attempt - 1, attempt):
            kill_marked(*(f"{self.lease.job_id}/{n}/" for n in range(1, attempt)))
            self.bucket.fetch_job(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(mark, attempt)
        here: dict[str, Any] = fetch_inputs(self.bucket, config)
        return here

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do something with the bucket while the lease is renewed, again and again if it fails."""
        deadline = time.monotonic() + self.settings.artifacts_retry_seconds

        def attempt(give_up: threading.Event) -> T:
            while True:
                try:
                    return action()
                except BucketError as error:
                    if time.monotonic() > deadline or give_up.is_set():
                        raise
                    log.warning("job %s waits: %s", self.lease.job_id, error)
                    give_up.wait(self.settings.artifacts_seconds)

        seconds = self.settings.lease_seconds
        return hold(self.database, self.lease, seconds, self.stopping, attempt)

    def _check_lease(self) -> None:
        """Raise LeaseLost if another attempt may be writing to the bucket, or the database was away
        for as long as a lease lasts.
        """
        mine = select(Job.id).where(Job.id == self.lease.job_id, self.lease.held)
        lost = LeaseLost(self.lease)

        def look() -> None:
            with self.database.read() as session:
                if session.scalar(mine) is None:
                    raise lost

        insist(look, time.monotonic() + self.settings.lease_seconds, lost)


class PartTransfers:
    """Those of a node that is not the first, to which weights and checkpoints come from the first
    one's process: only its log goes to the bucket.
    """

    def __init__(
        self, database: Database, settings: Settings, part: Part, stopping: threading.Event
    ) -> None:
        self.database, self.settings = database, settings
        self.part, self.stopping = part, stopping
        self.bucket = bucket_of(settings)
        self.job_folder = settings.job_folder(part.job_id)
        # An attempt that is over may still be writing.
        name = f"{part.rank}.{part.attempt}" if self.bucket else str(part.rank)
        self.folder = self.job_folder / NODES / name

    def prepare(self) -> None:
        """Wait until the first node has its files: processes do not wait for long to meet.

        Raises:
            PartLost: the attempt is over.
        """
        if self.bucket is None:
            return
        use_folder(self.job_folder)
        seconds = self.settings.lease_seconds
        hold(self.database, self.part, seconds, self.stopping, self._wait_for_first)

    def finish(self) -> None:
        """Bring the log to the bucket, if it answers, and remove the node's folder from here."""
        if self.bucket is None:
            return
        try:
            self.bucket.push(self.folder / "train.log")
        except (BucketError, FileNotFoundError) as error:
            log.warning("the log of node %d is lost: %s", self.part.rank, error)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_for_first(self, give_up: threading.Event) -> None:
        ready = False
        while not ready and not give_up.wait(_LOOK_SECONDS):
            with suppress(DBAPIError), self.database.read() as session:
                ready = nodes.has_begun(session, self.part.job_id)
