"""One trace through API, broker and worker: of an embedding request, and of a job."""

import threading
import time
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.store import tracing
from service.store.broker import make_celery
from service.store.models import Job
from tests.fixtures.embedder import embedding

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def exporter():
    """Holds the spans of this process, which is API and worker."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)


@pytest.fixture
def real_worker(redis, busy_worker):
    """An embedding worker with an encoder."""
    with embedding(redis, warm=1) as embedder:
        yield embedder


def ended(exporter, count):
    """The spans that have ended, once there are so many: a span ends after its answer."""
    until = time.monotonic() + 10
    while len(spans := exporter.get_finished_spans()) < count:
        assert time.monotonic() < until, [span.name for span in spans]
        time.sleep(0.01)
    return spans


def parents(spans):
    """The name of each span's parent, by its own name."""
    names = {span.context.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent.span_id) if span.parent else None for span in spans}


def test_an_embedding_request_is_one_trace_to_the_forward_pass(
    exporter, api, real_worker, photos, caplog
):
    files = [("images", (photos / "astronaut.jpg").read_bytes())] * 2
    data = {"encoder": "test_vit@random", "size": "32"}
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "X-Request-ID": "mine"}
    api.post("/embed", files=files, data=data, headers=headers).raise_for_status()
    spans = {s.name: s for s in ended(exporter, 4) if s.context.trace_id == int(TRACE, 16)}
    assert parents(spans.values()) == {
        "POST /embed": None,  # it is the client's
        "embed wait": "POST /embed",
        "embed batch": "embed wait",
        "forward": "embed batch",
    }
    assert spans["POST /embed"].attributes["paka.request_id"] == "mine"
    assert spans["POST /embed"].attributes["http.response.status_code"] == 200
    assert spans["forward"].attributes["paka.images"] == 2
    assert real_worker.done() == ((0, 1, 0, 0, 0, 0, 0), 2, 1, 1)


def test_a_jobs_attempt_is_linked_to_the_request_that_made_it(
    exporter, api, folder, database, settings, monkeypatch, caplog
):
    from worker.run_job import JobRunner

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "worker"))
    job = api.post("/train", json={"preset": "tiny", "dataset": "photos"}).json()
    with database.write() as session:
        row = session.get_one(Job, job["id"])
        row.config = {**row.config, "mode": "finish"}
    with make_celery(settings) as celery:
        runner = JobRunner(database, celery, settings, threading.Event(), {"train": "fake_run"})
        runner.run()
    # On a slow machine the reconciler has looked after the job as well.
    spans = [span for span in ended(exporter, 7) if span.name != "enqueue job" or span.parent]
    by_name = {span.name: span for span in spans}
    assert parents(spans) == {
        "POST /train": None,
        "enqueue job": "POST /train",
        "claim": None,
        "train job": None,
        "checkpoint": "train job",
    }
    [link] = by_name["train job"].links
    assert link.context.trace_id == by_name["POST /train"].context.trace_id
    assert by_name["train job"].attributes == {"paka.job_id": job["id"], "paka.attempt": 1}
    steps = [span.attributes["paka.step"] for span in spans if span.name == "checkpoint"]
    assert steps == [1, 2, 3]
    assert "claim" in [s.name for s in spans if s.attributes.get("paka.job_id") == job["id"]]
