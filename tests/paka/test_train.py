"""A training that is followed by an evaluation: before, after, and what may go wrong between."""

import shutil

import pytest

from paka.checkpoint import verify
from paka.distributed import Processes
from paka.evaluation.report_schema import Report
from paka.files import write_json
from paka.process import StopFlag
from paka.run_folder import Outcome, RunFolder
from paka.train import train
from paka.trainer import Trainer

EVALUATE = {"size": 32, "protocols": ["in_context", "probes"], "in_context": {"k": 3}}


@pytest.fixture
def run(small_config, labelled, tmp_path):
    """A run that asks for an evaluation on a data set of its own, with its config.json."""
    dataset = shutil.copytree(labelled, tmp_path / "labelled")
    config = small_config(evaluate={"dataset": str(dataset), **EVALUATE}, optim={"max_steps": 2})
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_json(run.config, config.model_dump(mode="json"))
    return run


def go(run, stop=None):
    """Train in this process."""
    return train(run, StopFlag() if stop is None else stop, Processes())


def read_report(run):
    return Report.model_validate_json((run.evaluation / "report.json").read_text())


def test_other_processes_than_the_config_says_are_refused(small_config, tmp_path):
    run = RunFolder(tmp_path)
    write_json(run.config, small_config(runtime={"processes": 2}).model_dump(mode="json"))
    assert "1 processes were started, and runtime.processes is 2" in go(run).error


def test_the_report_compares_the_encoder_before_and_after(run):
    assert go(run) == Outcome("finished", 2)
    report = read_report(run)
    assert [entry.name for entry in report.encoders] == ["before", "after"]
    files = verify(run.final)["files"]
    assert report.encoders[0].weights_sha256 != report.encoders[1].weights_sha256
    assert report.encoders[1].weights_sha256 == files["encoder.safetensors"]["sha256"]
    assert report.find("after", "in_context", "miou").difference is not None
    assert (run.evaluation / "report.html").stat().st_size > 10_000
    assert RunFolder(run.evaluation).read_metrics()[-1]["step"] == 600


def test_a_stop_while_evaluating_keeps_the_result_and_the_next_start_only_evaluates(
    run, monkeypatch
):
    stop, train_once = StopFlag(), Trainer.run

    def stop_after_training(trainer):
        outcome = train_once(trainer)
        stop.set()
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run", stop_after_training)
        assert go(run, stop) == Outcome("stopped", 2)
    assert not (run.evaluation / "report.json").exists()
    before = verify(run.final)
    monkeypatch.setattr(Trainer, "run", lambda trainer: pytest.fail("trained again"))
    assert go(run) == Outcome("finished", 2)
    assert verify(run.final) == before
    assert len(read_report(run).results) > 2


def test_an_evaluation_that_fails_leaves_the_result_and_can_be_repeated(run, monkeypatch):
    mask = run.path.parent / "labelled/masks/val/0.png"
    content = mask.read_bytes()
    mask.write_bytes(b"nothing")
    outcome = go(run)
    assert (outcome.outcome, outcome.step) == ("failed", 2)
    assert outcome.error.startswith("trained, but the evaluation of the result failed: ")
    assert str(mask) in outcome.error
    verify(run.final)
    mask.write_bytes(content)
    monkeypatch.setattr(Trainer, "run", lambda trainer: pytest.fail("trained again"))
    assert go(run) == Outcome("finished", 2)
    assert read_report(run).val_images == 4


def test_a_data_set_that_is_none_is_refused_before_training(run):
    shutil.rmtree(run.path.parent / "labelled/masks")
    outcome = go(run)
    assert (outcome.outcome, outcome.step) == ("failed", 0)
    assert "is not laid out as a labelled data set" in outcome.error
    assert not run.final.exists()
