"""Traces of requests and jobs (OpenTelemetry), for whoever asks for them; else all this is nothing.

On by `PAKA_TRACES`, or by OpenTelemetry's own `OTEL_EXPORTER_OTLP_ENDPOINT`. As long as it is off,
nothing of OpenTelemetry is imported. What travels from one process to another is a `traceparent`
(W3C Trace Context).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from service.store.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, Span, Tracer

log = logging.getLogger(__name__)
Attributes = Mapping[str, str | int | float]
Kind = Literal["internal", "server", "client", "producer", "consumer"]

_provider: "TracerProvider | None" = None
_tracer: "Tracer | None" = None


def start_tracing(settings: Settings, part: str) -> None:
    """Send spans of this process to where `OTEL_EXPORTER_OTLP_ENDPOINT` says, if that is wanted."""
    if not settings.wants_traces:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.error("no traces: %s; install the extra `tracing`", error)
        return
    about = {"service.name": f"paka-{part}", "service.version": version("paka-service")}
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)


def use(provider: "TracerProvider | None") -> None:
    """Make spans by this provider from now on; None makes none."""
    global _provider, _tracer
    _provider = provider
    _tracer = provider.get_tracer("paka") if provider else None


def stop_tracing() -> None:
    """Send what has not been sent yet, and make no more spans."""
    if _provider is not None:
        _provider.shutdown()
    use(None)


@contextmanager
def span(
    name: str,
    about: Attributes | None = None,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    links: Iterable[str | None] = (),
    alone: bool = False,
) -> Iterator["Span | None"]:
    """Trace what the block does; what raises an error is marked as failed.

    Args:
        about: the span's attributes.
        parent: traceparent of what it is part of; default: the span in which this one begins.
        links: traceparents of what led to it.
        alone: whether it begins a trace of its own.
    """
    if _tracer is None:
        yield None
        return
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind

    context = Context() if alone else _context(parent)
    with _tracer.start_as_current_span(
        name,
        context=context,
        kind=SpanKind[kind.upper()],
        links=_links(links),
        attributes=about,
    ) as started:
        yield started


def add_span(name: str, about: Attributes, started_at: float, seconds: float) -> None:
    """Trace what is over already, as part of the span that is open now.

    Args:
        started_at: Unix seconds.
    """
    if _tracer is None:
        return
    started = _tracer.start_span(name, start_time=_nanoseconds(started_at), attributes=about)
    started.end(_nanoseconds(started_at + seconds))


def traceparent() -> str | None:
    """The span that is open now, for another process; None if there is none."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def mark_failed(span: Any) -> None:
    """Say of a span that what it traces went wrong."""
    from opentelemetry.trace import StatusCode

    span.set_status(StatusCode.ERROR)


def _context(parent: str | None) -> "Context | None":
    """The context of a span in another process; None, the current one, if none is named."""
    if parent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent})


def _links(parents: Iterable[str | None]) -> "list[Link]":
    from opentelemetry.trace import Link, get_current_span

    contexts = [
        get_current_span(_context(parent)).get_span_context() for parent in parents if parent
    ]
    return [Link(context) for context in contexts if context.is_valid]


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
