import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.store.contract import worker_key

USE = {
    "host": "gpu-server", "worker_bytes": 5, "cpu_busy": 0.5, "memory_used_bytes": 6,
    "memory_total_bytes": 10,
    "gpus": [
        {"id": "GPU-a", "name": "NVIDIA A", "used_bytes": 7, "total_bytes": 8, "busy": 0.9},
        {"id": "MIG-b", "name": "MIG-b", "used_bytes": None, "total_bytes": None, "busy": None},
    ],
}  # fmt: skip
STEP = {
    "step": 20, "total_steps": 60, "loss": 0.3, "step_seconds": 0.5, "images_per_second": 32.0,
    "peak_memory_bytes": 1000, "seconds_load": 0.1, "seconds_backward": 0.25, "eta_seconds": 20.0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch):
    """Every scrape asks anew."""
    monkeypatch.setattr("service.metrics.recent.KEEP_SECONDS", -1.0)


def read(text):
    """Value by name and labels' values, in the order of the labels' names."""
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def scrape():
    """Scrapes a server, asked through its client."""

    def scrape(api, **options):
        response = api.get("/metrics", **options)
        assert response.status_code == 200, response.text
        return read(response.text)

    return scrape


@pytest.fixture
def use():
    """How a machine with a GPU and a part of one is used."""
    return USE


@pytest.fixture
def step():
    """The last line of a training's metrics."""
    return STEP


@pytest.fixture
def announce(redis):
    """Has a worker of a kind say more of itself than others do."""

    def announce(kind, **more):
        about = {"name": f"{kind}-1", "kind": kind, "slots": [], "gpus": [], **more}
        redis.set(worker_key(kind, f"{kind}-1"), json.dumps(about))

    return announce
