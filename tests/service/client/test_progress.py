import sys
from types import SimpleNamespace

import pytest

from service.client.progress import describe, tracking
from service.client.schemas import Event


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"step": 1}, ""),
        (
            {"loss": 0.5, "images_per_second": 12.34, "eta_seconds": 61},
            "loss 0.5000  12.3 images/s  0:01:01 left",
        ),
        ({"encoder": "before", "part": "knn"}, "before  knn"),
    ],
)
def test_metrics_of_all_kinds_of_jobs_in_words(row, words):
    assert describe(row) == words


def event(kind, message="", level="info", data=None):
    return Event.model_construct(type=kind, message=message, level=level, data=data)


def test_a_notebook_gets_one_output_that_is_drawn_again(monkeypatch):
    drawn = []
    handle = SimpleNamespace(update=drawn.append)
    page = SimpleNamespace(HTML=str, display=lambda html, display_id: drawn.append(html) or handle)
    shell = type("ZMQInteractiveShell", (), {})()
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=page)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", page)
    with tracking(None, "job_<1>") as tracker:
        tracker.event(event("status", "running"))
        tracker.event(event("metrics", data={"step": 3, "total_steps": 9, "loss": 1}))
    assert drawn[0] == "job_&lt;1&gt;"
    assert 'value="3" max="9"' in drawn[-1] and "3/9" in drawn[-1] and "loss 1.0000" in drawn[-1]


def test_warnings_are_said_beside_the_bar(capfd):
    with tracking(True, "job_1") as tracker:
        tracker.event(event("message", "a checkpoint was left out", "warning"))
        tracker.event(event("message", "found 3 images"))
    assert capfd.readouterr().err == "warning: a checkpoint was left out\n"
