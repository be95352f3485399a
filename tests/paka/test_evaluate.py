"""The evaluation's process: finishing, stopping, failing."""

import signal
import time

import pytest

from paka.evaluate import evaluate
from paka.evaluation.config import EvaluateConfig
from paka.process import StopFlag
from paka.run_folder import Outcome, RunFolder


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


def test_sigterm_stops_within_a_part(start_run, config, tmp_path):
    run = RunFolder(tmp_path / "run")
    endless = config(linear={"epochs": 1000}, seeds=list(range(16)))
    process = start_run(run, endless, "paka.evaluate")
    while not any(row["part"] == "linear" for row in run.read_metrics()):
        assert process.poll() is None, log_of(run)
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 3, log_of(run)
    assert run.read_outcome().outcome == "stopped"
    assert run.read_outcome().step > 0


def test_what_ended_is_told_from_what_was_stopped_and_what_failed(config, tmp_path):
    run, stop = RunFolder(tmp_path), StopFlag()
    run.config.write_text(config(linear={"epochs": 1}).model_dump_json())
    stop.set()
    assert evaluate(run, stop) == Outcome("stopped", 0)
    assert evaluate(run, StopFlag()) == Outcome("finished", 200)
    run.config.write_text(config(encoders=["test_vit@/nowhere.safetensors"]).model_dump_json())
    outcome = evaluate(run, StopFlag())
    assert outcome.outcome == "failed"
    assert "/nowhere.safetensors" in outcome.error


def log_of(run):
    return (run.path / "train.log").read_text()
