"""Making single metrics of values that are known already."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

F = TypeVar("F", GaugeMetricFamily, CounterMetricFamily)
K = TypeVar("K", bound=tuple[str, ...])


def gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    """A gauge without labels."""
    return GaugeMetricFamily(name, about, value=value)


def gauges(
    name: str, about: str, labels: Sequence[str], values: Mapping[K, float]
) -> GaugeMetricFamily:
    """A gauge with a value for each combination of labels."""
    return _with_values(GaugeMetricFamily(name, about, labels=labels), values)


def counters(
    name: str, about: str, labels: Sequence[str], values: Mapping[K, float]
) -> CounterMetricFamily:
    """The same of a counter; its name is to be without `_total`."""
    return _with_values(CounterMetricFamily(name, about, labels=labels), values)


def _with_values(family: F, values: Mapping[K, float]) -> F:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
