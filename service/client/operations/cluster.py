"""Operations on the service as a whole."""

from service.client.call import Flow, get, read
from service.client.schemas import Cluster, Me, Readiness


def cluster() -> Flow[Cluster]:
    """Workers with their GPUs, the queue with reasons, and who used how much."""
    return read(Cluster, (yield get("/cluster")))


def ready() -> Flow[Readiness]:
    """Whether the service can do everything.

    Raises:
        ServiceUnavailable: saying what is missing.
    """
    return read(Readiness, (yield get("/ready", retries=False)))


def me() -> Flow[Me]:
    """Who you are, by the key that is sent."""
    return read(Me, (yield get("/me")))
