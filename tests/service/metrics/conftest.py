import pytest
from prometheus_client.parser import text_string_to_metric_families


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
