"""The table of metrics, the dashboard and the alerts, held against what is really exposed."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.store import attempts, jobs

ROOT = Path(__file__).resolve().parents[3]
PROMETHEUS = ROOT / "docker" / "prometheus"
GRAFANA = ROOT / "docker" / "grafana"
DOCUMENT = (ROOT / "docs" / "observability.md").read_text()
DASHBOARD = json.loads((GRAFANA / "dashboards" / "paka.json").read_text())
ALERTS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [
    *(target["expr"] for panel in PANELS for target in panel["targets"]),
    *(rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]),
]
NAME = r"\b(?:paka|process|python|up)(?:_\w+)?\b"
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum")}

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def exposed(api, announce, use, step, database, embed_worker, photos, settings):
    """Type and labels by name of all metrics of a service in which there is some of everything."""
    for folder in (settings.artifacts_folder, settings.uploads_folder):
        folder.mkdir(parents=True, exist_ok=True)
    slot = {"id": "GPU-a", "device": "NVIDIA A", "total_bytes": 8, "free_bytes": 1}
    announce("jobs", slots=[slot], use=use)
    done = {"passes": [1] * 7, "images": 127, "loaded": 1, "warm": 1}
    announce("embed", use=use, embedding=done)
    with database.write() as session:
        job = jobs.create(session, "train", {}, request_sha256="0" * 64)
        lease = attempts.claim(session, job.id, "w", 60, "w", ["GPU-a"])
        attempts.record(session, lease, 60, progress=step)
    files = [("images", (photos / "astronaut.jpg").read_bytes())]
    api.post("/embed", files=files, data={"encoder": "test_vit@random", "size": "32"})
    api.get("/jobs/none")
    families = list(text_string_to_metric_families(api.get("/metrics").text))
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {label for sample in family.samples for label in sample.labels} - {"le"},
        )
        for family in families
        if not family.name.endswith("_created")
    }


@sqlite_only
def test_the_table_of_metrics_is_complete_and_right(exposed):
    rows = re.findall(r"^\| `(paka_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", DOCUMENT, re.MULTILINE)
    table = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows}
    assert table == {name: about for name, about in exposed.items() if name.startswith("paka_")}


@sqlite_only
def test_panels_and_alerts_ask_for_what_there_is(exposed):
    names = {
        name + suffix for name, (kind, _) in exposed.items() for suffix in SUFFIXES.get(kind, ("",))
    }
    labels = {"le", "instance", "job"}.union(*(found for _, found in exposed.values()))
    asked = [set(re.findall(NAME, re.sub(r'"[^"]*"', '""', e))) for e in EXPRESSIONS]
    assert all(asked)
    assert set().union(*asked) - names == {"up"}
    for expression in EXPRESSIONS:
        grouped = re.findall(r"\bby \(([^)]*)\)", expression)
        selected = re.findall(r"[{,]\s*(\w+)\s*=~?", expression)
        used = {label.strip() for group in grouped for label in group.split(",")} | set(selected)
        assert used <= labels, expression
    ours = {name for name in exposed if name.startswith("paka_")}
    seen = {name for names in asked for name in names}
    unseen = {n for n in ours if not any(s == n or s.startswith(f"{n}_") for s in seen)}
    assert unseen == set()


def test_panels_are_described_have_units_and_do_not_overlap():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert all(0 <= x < 24 for x, _ in cells)
    for panel in PANELS:
        assert panel["title"], panel["id"]
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_grafana_finds_its_source_and_the_dashboard():
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/paka.yml").read_text())
    [variable] = DASHBOARD["templating"]["list"]
    assert variable["current"]["value"] == source["datasources"][0]["uid"]
    assert provider["providers"][0]["options"]["path"] == "/var/lib/grafana/dashboards"


def test_every_alert_says_what_is_wrong_and_how_bad_it_is():
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert config["rule_files"] == ["alerts.yml"]
    described = set(re.findall(r"^\| `([A-Z]\w+)` \|", DOCUMENT, re.MULTILINE))
    assert described == {rule["alert"] for rule in ALERTS["groups"][0]["rules"]}
    for rule in ALERTS["groups"][0]["rules"]:
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("warning", "critical")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
def test_prometheus_itself_takes_the_alerts_and_they_fire():
    test = ROOT / "tests" / "docker" / "alerts_test.yml"
    subprocess.run(["promtool", "test", "rules", test], check=True)
