"""Evaluation over HTTP: a training that ends with a report, and encoders compared on their own."""

import pytest

from paka.evaluation.report_schema import Report

BASE = "vit_starter_patch16_224"
TRAINING = {
    "preset": "tiny",
    "encoder": BASE,
    "views": {"global_size": 64, "local_size": 32},
    "loss": {"grid": 2},
    "optim": {"batch_size": 4, "max_steps": 2},
    "runtime": {"workers": 0, "log_every": 1},
}
COMPARISON = {
    "names": ["before", "after <x>"],
    "size": 64,
    "protocols": ["in_context", "linear", "overclustering", "knn"],
    "in_context": {"k": 3},
    "linear": {"epochs": 2},
    "overclustering": {"clusters": [4]},
    "seeds": [0],
    "runtime": {"workers": 0},
}


def finish(service, path, body):
    """Post a job and follow it to its end; return it, and the types of its events."""
    job = service.post(path, json=body).json()
    assert service.get(job["links"]["report"]).json()["code"] == "report_not_ready"
    with service.stream("GET", job["links"]["events"]) as stream:
        seen = {line.partition(": ")[2] for line in stream.iter_lines() if line.startswith("event")}
    job = service.get(job["links"]["self"]).json()
    assert job["status"] == "succeeded", service.get(job["links"]["log"]).text
    return job, seen


@pytest.mark.parametrize("service", ["sqlite"], indirect=True)
def test_encoders_are_compared_after_training_and_on_request(service, photos, labelled_photos):
    labelled = str(labelled_photos)
    asked = {"dataset": labelled, "size": 64, "protocols": ["in_context"]}
    training, _ = finish(service, "/train", {**TRAINING, "dataset": str(photos), "evaluate": asked})
    report = Report.model_validate(service.get(training["links"]["report"]).json())
    assert [encoder.name for encoder in report.encoders] == ["before", "after"]
    assert report.find("after", "in_context", "miou").difference is not None

    body = {**COMPARISON, "encoders": [BASE, training["encoder"]], "dataset": labelled}
    job, seen = finish(service, "/evaluate", body)
    url = job["links"]["report"]
    assert "metrics" in seen
    assert job["progress"]["step"] == job["progress"]["total_steps"]
    compared = Report.model_validate(service.get(url).json())
    assert compared.classes == ("dark", "grey", "bright")
    assert (compared.train_images, compared.val_images) == (5, 3)
    weights = [encoder.weights_sha256 for encoder in compared.encoders]
    assert weights == [encoder.weights_sha256 for encoder in report.encoders]
    for name in COMPARISON["names"]:
        assert 0 < compared.find(name, "linear", "miou").value <= 1
    assert compared.find("before", "in_context", "miou").difference is None
    assert compared.find("after <x>", "in_context", "miou").difference is not None

    table = service.get(url, params={"format": "markdown"})
    assert "before" in table.text and table.headers["content-type"].startswith("text/markdown")
    page = service.get(url, headers={"Accept": "text/html"})
    assert "sandbox" in page.headers["content-security-policy"]
    assert "data:image/" in page.text
    assert "after &lt;x&gt;" in page.text and "<x>" not in page.text
    assert "<script" not in page.text and "http" not in page.text
