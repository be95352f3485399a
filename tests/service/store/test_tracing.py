import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.store import tracing
from service.store.settings import Settings


@pytest.fixture
def spans():
    """Returns the spans that have ended so far, by name."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield lambda: {span.name: span for span in exporter.get_finished_spans()}
    tracing.stop_tracing()


def test_without_being_asked_for_nothing_is_traced_nor_imported():
    code = """
import sys
from service.store import tracing
from service.store.settings import Settings
tracing.start_tracing(Settings(), "api")
with tracing.span("one", {"a": 1}, links=["x"]) as span:
    tracing.add_span("two", {}, 0.0, 1.0)
    assert span is None and tracing.traceparent() is None
tracing.stop_tracing()
sys.exit([name for name in sys.modules if name.startswith("opentelemetry")] or 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"PAKA_TRACES": "true"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
    ],
)
def test_traces_are_asked_for_in_one_of_these_ways(monkeypatch, environment, wanted):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings().wants_traces is wanted


def test_a_span_in_another_process_is_part_of_the_one_that_it_names(spans):
    with tracing.span("here", {"paka.images": 3}, kind="client"):
        parent = tracing.traceparent()
    with tracing.span("there", parent=parent), tracing.span("inner"):
        pass
    found = spans()
    assert found["there"].parent.span_id == found["here"].context.span_id
    assert found["inner"].parent.span_id == found["there"].context.span_id
    assert {span.context.trace_id for span in found.values()} == {found["here"].context.trace_id}
    assert (found["here"].attributes, found["here"].kind.name) == ({"paka.images": 3}, "CLIENT")


def test_what_led_to_a_span_is_linked_and_nonsense_is_not(spans):
    with tracing.span("request"):
        request = tracing.traceparent()
        with tracing.span("job", links=[request, None, "nonsense"], alone=True):
            pass
    job, found = spans()["job"], spans()["request"]
    assert job.parent is None
    assert job.context.trace_id != found.context.trace_id
    assert [link.context.span_id for link in job.links] == [found.context.span_id]
    with tracing.span("other", parent="nonsense"):
        pass
    assert spans()["other"].parent is None


def test_an_error_marks_its_span_and_what_is_over_keeps_its_times(spans):
    with pytest.raises(RuntimeError), tracing.span("job"):
        tracing.add_span("checkpoint", {"paka.step": 5}, 1000.0, 2.5)
        raise RuntimeError("no")
    job, checkpoint = spans()["job"], spans()["checkpoint"]
    assert job.status.status_code.name == "ERROR"
    assert checkpoint.parent.span_id == job.context.span_id
    assert (checkpoint.start_time, checkpoint.end_time) == (1000 * 10**9, 10025 * 10**8)


class Collector(BaseHTTPRequestHandler):
    """Takes spans as OpenTelemetry sends them."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_collector_is_sent_what_was_traced(monkeypatch):
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        server.received = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        started = time.time()
        tracing.start_tracing(Settings(), "worker-embed")
        with tracing.span("embed batch", {"paka.images": 2}, kind="consumer"):
            pass
        tracing.stop_tracing()
        server.shutdown()
        thread.join()
    [(path, request)] = server.received
    assert path == "/v1/traces"
    [resource] = request.resource_spans
    about = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert about["service.name"] == "paka-worker-embed"
    [span] = resource.scope_spans[0].spans
    assert (span.name, span.attributes[0].value.int_value) == ("embed batch", 2)
    assert started * 1e9 - 1 <= span.start_time_unix_nano <= span.end_time_unix_nano
