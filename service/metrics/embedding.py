"""Embedding: what is let in here, and what the workers have computed."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from service.metrics.families import counters, gauge, gauges
from service.store.workers import PASS_IMAGES, Announced

if TYPE_CHECKING:
    from service.embed.admission import Admission
    from service.embed.cache import FeatureCache


def admitted(admission: "Admission") -> Iterator[Metric]:
    """What the requests in progress in this process are."""
    yield gauge(
        "paka_embed_requests_in_progress",
        "Embedding requests that are being served by this process.",
        admission.requests,
    )
    yield gauge(
        "paka_embed_reserved_bytes",
        "Memory that they hold of what PAKA_EMBED_MEMORY_BYTES allows.",
        admission.bytes,
    )


def cached(features: "FeatureCache") -> Iterator[Metric]:
    """What this process found in the cache of features, and how large that is."""
    counts = {"hit": features.hits, "miss": features.misses}
    yield counters(
        "paka_embed_cache_images",
        "Images looked for in the cache of features.",
        ["result"],
        {(result,): count for result, count in counts.items()},
    )
    yield counters(
        "paka_embed_cache_evictions",
        "Images whose features had to leave the cache for others.",
        [],
        {(): features.evictions},
    )
    yield gauge(
        "paka_embed_cache_bytes", "Features in the cache, by all processes.", features.size()
    )


def families(workers: Sequence[Announced]) -> Iterator[Metric]:
    """What each worker has done since its start, as of its last sign of life."""
    passes = HistogramMetricFamily(
        "paka_embed_pass_images", "Images in one forward pass of a worker.", labels=["worker"]
    )
    known = {(one.name,): one.embedding for one in workers if one.embedding is not None}
    for name, done in known.items():
        totals = list(accumulate(done.passes))
        bounds = [*(str(float(bound)) for bound in PASS_IMAGES), "+Inf"]
        passes.add_metric(name, list(zip(bounds, [*totals, totals[-1]], strict=True)), done.images)
    yield passes
    yield counters(
        "paka_embed_encoders_loaded",
        "How often a worker has loaded an encoder.",
        ["worker"],
        {name: done.loaded for name, done in known.items()},
    )
    yield gauges(
        "paka_embed_encoders_warm",
        "Encoders that a worker holds in memory.",
        ["worker"],
        {name: done.warm for name, done in known.items()},
    )
