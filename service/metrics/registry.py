"""What an API process counts itself, from its start on."""

from importlib.metadata import version
from typing import Annotated

from fastapi import Depends, Request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.metrics_core import Metric

from service.metrics.families import counters
from service.metrics.recent import Recent
from service.store.contract import CONTRACT_VERSION
from service.store.counts import AttemptCounts

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The numbers of one application. No label has more values than there are routes, codes or
    other words of our own.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attempts = AttemptCounts()
        self.recent: Recent[list[Metric]] = Recent()
        self.http_seconds = Histogram(
            "paka_http_request_duration_seconds",
            "Time until the answer begins.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.http_in_progress = self._gauge(
            "paka_http_requests_in_progress", "Requests whose answer has not begun."
        )
        self.http_streams = self._gauge("paka_http_event_streams", "Event streams that are open.")
        self.problems = Counter(
            "paka_http_problems",
            "Answers that are problems, by their code.",
            ["route", "code"],
            registry=self.registry,
        )
        self.embed_seconds = Histogram(
            "paka_embed_duration_seconds",
            "Time of answered embedding requests: waiting (queue), computing (inference), and all "
            "of it with reading and decoding (total).",
            ["part"],
            buckets=SECONDS,
            registry=self.registry,
        )
        for part in ("queue", "inference", "total"):
            self.embed_seconds.labels(part)  # from 0 on, so that a rate has the first of them
        self.embed_images = Histogram(
            "paka_embed_request_images",
            "Images in an answered embedding request.",
            buckets=IMAGES,
            registry=self.registry,
        )
        build = Gauge(
            "paka_build_info",
            "Always 1; the labels tell which version this is.",
            ["version", "contract"],
            registry=self.registry,
        )
        build.labels(version("paka-service"), str(CONTRACT_VERSION)).set(1)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def embedded(self, images: int, queue: float, inference: float, total: float) -> None:
        """Note an embedding request that was answered; times in seconds."""
        self.embed_images.observe(images)
        for part, seconds in (("queue", queue), ("inference", inference), ("total", total)):
            self.embed_seconds.labels(part).observe(seconds)

    def internal_errors(self) -> Metric:
        """The problems that are faults of ours, of all routes.

        From 0 on, so that a rate has the first of them: that of one route and code begins at 1.
        """
        found = [sample for family in self.problems.collect() for sample in family.samples]
        count = sum(
            sample.value
            for sample in found
            if sample.name.endswith("_total") and sample.labels["code"] == "internal"
        )
        about = "Requests that failed unexpectedly."
        return counters("paka_http_internal_errors", about, [], {(): count})

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(name, about, registry=self.registry)


async def _get_metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


MetricsDep = Annotated[Metrics, Depends(_get_metrics)]
