"""The evaluation's process: finishing, stopping, failing."""

import signal
import time

import pytest

from paka.evaluation.config import EvaluateConfig
from paka.run_folder import RunFolder


@pytest.fixture
def config(labelled):
    """Returns the settings of a short evaluation with others laid over them."""

    def make(**over):
        settings = {
            "encoders": ["test_vit@random"],
            "dataset": str(labelled),
            "size": 32,
            "protocols": ["linear"],
            "seeds": [0],
            "runtime": {"device": "cpu", "workers": 0},
        }
        return EvaluateConfig.model_validate({**settings, **over})

    return make


@pytest.fixture
def start(start_run):
    """Starts the process, as `start_run` does."""
    return lambda run, config=None: start_run(run, config, "paka.evaluate")


def test_sigterm_stops_within_a_part_and_the_next_process_finishes(start, config, tmp_path):
    run = RunFolder(tmp_path / "run")
    process = start(run, config(linear={"epochs": 1000}, seeds=list(range(16))))
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if any(row["part"] == "linear" for row in run.read_metrics()):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 3, (run.path / "train.log").read_text()
    assert run.read_outcome().outcome == "stopped"
    run.config.write_text(config(linear={"epochs": 1}).model_dump_json())
    assert start(run).wait(60) == 0
    assert run.read_outcome().outcome == "finished"
    assert (run.path / "report.html").exists()


def test_what_went_wrong_is_said_in_the_outcome(start, config, tmp_path):
    run = RunFolder(tmp_path / "run")
    process = start(run, config(encoders=["test_vit@/nowhere.safetensors"]))
    assert process.wait(60) == 1
    outcome = run.read_outcome()
    assert outcome.outcome == "failed"
    assert "/nowhere.safetensors" in outcome.error
