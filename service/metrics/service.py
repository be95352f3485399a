"""Putting the metrics together: what this process has counted, and the state of all else."""

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from service.deps import Resources
from service.metrics import disks, embedding, jobs, machines
from service.metrics.families import gauge
from service.metrics.registry import Metrics
from service.store import counts
from service.store.contract import EMBED_PENDING_KEY
from service.store.counts import AttemptCounts
from service.store.workers import Announced, announced_workers

log = logging.getLogger(__name__)


class Families(NamedTuple):
    """Metrics to be exposed, as the library wants them."""

    families: list[Metric]

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self.families


def expose(resources: Resources, metrics: Metrics, accept: str) -> tuple[bytes, str]:
    """Return all metrics, and the content type that `accept` asks for.

    What is read from elsewhere is a few seconds old at most; what is away is left out, and
    `paka_database_up` or `paka_redis_up` says so.
    """
    encode, content_type = choose_encoder(accept)
    state = metrics.recent.get(lambda: list(_state(resources, metrics.attempts)))
    mine = [*metrics.registry.collect(), metrics.internal_errors()]
    mine += [*embedding.admitted(resources.admission), *embedding.cached(resources.features)]
    together: Collector = Families([*mine, *state])
    return encode(together), content_type


def _state(resources: Resources, attempts: AttemptCounts) -> Iterator[Metric]:
    workers, waiting = _ask_redis(resources)
    yield gauge("paka_redis_up", "Whether Redis answers.", int(workers is not None))
    if waiting is not None:
        yield gauge("paka_embed_queue_length", "Embedding requests that wait.", waiting)
    devices = {slot.id: slot.device for worker in workers or () for slot in worker.slots}
    try:
        found = _ask_database(resources, devices, attempts)
    except SQLAlchemyError as error:
        log.warning("metrics are without the database's: %s", error)
        found = []
    yield gauge("paka_database_up", "Whether the database answers.", int(bool(found)))
    yield from found
    yield from machines.families(workers or ())
    yield from embedding.families(workers or ())
    yield from disks.families(resources.settings)


def _ask_redis(resources: Resources) -> tuple[list[Announced] | None, int | None]:
    """The workers, and how many embedding requests wait; None if Redis is away."""
    try:
        waiting: int = resources.redis.llen(EMBED_PENDING_KEY)
        return announced_workers(resources.redis), waiting
    except RedisError as error:
        log.warning("metrics are without the workers': %s", error)
        return None, None


def _ask_database(
    resources: Resources, devices: dict[str, str], attempts: AttemptCounts
) -> list[Metric]:
    if resources.version.problem is not None:
        return []
    with resources.database.read() as session:
        running = counts.running(session)
        return [
            *jobs.families(session, resources.settings, attempts),
            *jobs.slots(running, devices),
            *jobs.trainings(running, devices),
        ]
