"""A service with many jobs that wait: what requests, claims and the reconciler take.

In one process, on SQLite and a private Redis: the application without a network, and workers that
are only announced. All slots of two are taken by jobs of low priority, so that the reconciler also
looks for jobs to ask to leave. Jobs that wait want two slots each; a third worker has room for
one, a fourth has one slot, so that it looks at all of them in vain. All their messages are in
Redis, and due to be looked for by the reconciler, which does so for a thousand at a time.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from benchmarks.scaling import server
from benchmarks.scaling.growth import Growth, processor_ms
from service.deps import Resources
from service.metrics.recent import Recent
from service.reconciler import reconcile
from service.store.dispatch import claim_next
from service.store.leases import Leases
from service.store.models import Job
from service.store.places import Worker
from service.store.status import JobStatus

JOBS = (1, 10, 100, 1_000, 10_000, 100_000)


def growths(images: Path, repeats: int) -> Iterator[Growth]:
    """Measure one service, as more and more jobs wait."""
    images = images.resolve()
    with (
        tempfile.TemporaryDirectory(prefix="paka-scaling-") as home,
        server.application(Path(home), images) as app,
        TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client,
    ):
        calls = _Calls(app, client, images)
        database, redis = calls.resources.database, calls.resources.redis
        server.add_users(database)
        for one in calls.full:
            server.occupy(database, redis, one)
        rows = []
        for count in JOBS:
            server.let_wait(database, redis, images, count)
            costs = [processor_ms(call, repeats, before) for call, before in calls.all().values()]
            rows.append((count, tuple(costs)))
    yield Growth("Jobs that wait: processor ms", "jobs", tuple(calls.all()), rows)


class _Calls:
    """What is measured."""

    def __init__(self, app: FastAPI, client: TestClient, images: Path) -> None:
        self.app, self.client, self.images = app, client, images
        self.resources: Resources = app.state.resources
        self.full = [server.worker("full-1"), server.worker("full-2")]
        self.leases = Leases(math.inf)

    def all(self) -> dict[str, tuple[Callable[[], object], Callable[[], object] | None]]:
        """By their headings; and what is done before each, which does not count."""
        due = partial(server.look_for_messages, self.resources.database)
        return {
            "GET /jobs": (partial(self.get, "/jobs?limit=50"), None),
            "GET /jobs/{id}": (self.get_last, None),
            "GET /cluster": (partial(self.get, "/cluster"), None),
            "GET /metrics": (partial(self.get, "/metrics"), self.forget_metrics),
            "claim": (partial(self.claim, server.worker("free")), None),
            "claim, none fits": (partial(self.claim, server.worker("small", slots=1)), None),
            "reconcile": (self.reconcile, due),
            "POST /train": (self.post, None),
        }

    def get(self, path: str) -> None:
        """A request."""
        self.client.get(path).raise_for_status()

    def get_last(self) -> None:
        """The job that has come last: its place in the queue is looked for."""
        with self.resources.database.read() as session:
            last = session.scalar(select(func.max(Job.id)).where(Job.status == JobStatus.QUEUED))
        self.get(f"/jobs/{last}")

    def forget_metrics(self) -> None:
        """What is kept for a few seconds."""
        self.app.state.metrics.recent = Recent()

    def post(self) -> None:
        """A training more."""
        body = {"preset": "tiny", "dataset": str(self.images)}
        self.client.post("/train", json=body).raise_for_status()

    def claim(self, mine: Worker) -> None:
        """A worker's decision, undone."""
        settings, workers = self.resources.settings, [mine, *self.full]
        with self.resources.database.write() as session:
            claim_next(session, workers, settings, "owner")
            session.rollback()

    def reconcile(self) -> None:
        """One pass."""
        found = self.resources
        reconcile(found.database, found.celery, found.redis, found.settings, self.leases)
