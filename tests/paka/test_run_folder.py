import multiprocessing

import pytest

from paka.errors import TrainingError
from paka.files import read_json_lines
from paka.run_folder import Outcome, RunFolder


def hold(path, ready, release):
    with RunFolder(path).locked():
        ready.set()
        release.wait(30)


def test_two_processes_cannot_hold_one_run(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(tmp_path, ready, release))
    holder.start()
    try:
        assert ready.wait(30)
        short = RunFolder(tmp_path).locked(wait_seconds=0.2)
        with pytest.raises(TrainingError, match="another process"), short:
            pass
        release.set()
        with RunFolder(tmp_path).locked(wait_seconds=30):
            pass
    finally:
        release.set()
        holder.join()


def test_outcome_round_trips_and_is_absent_at_first(tmp_path):
    run = RunFolder(tmp_path)
    assert run.read_outcome() is None
    run.write_outcome(Outcome("failed", 7, "why"))
    assert run.read_outcome() == Outcome("failed", 7, "why")


def test_metrics_after_a_step_can_be_forgotten(tmp_path):
    run = RunFolder(tmp_path)
    assert run.read_metrics() == []
    for step in (10, 20, 30):
        run.append_metrics({"step": step})
    run.forget_metrics_after(20)
    assert [row["step"] for row in run.read_metrics()] == [10, 20]


def test_a_torn_last_line_is_not_read(tmp_path):
    run = RunFolder(tmp_path)
    run.append_metrics({"step": 1})
    with run.metrics.open("a") as file:
        file.write('{"step": 2, "lo')
    assert [row["step"] for row in run.read_metrics()] == [1]


def test_who_holds_the_run_finds_nothing_half_written(tmp_path):
    run = RunFolder(tmp_path)
    for folder in (run.checkpoints / ".step-00000007.tmp", tmp_path / ".final.tmp", run.features):
        folder.mkdir(parents=True)
    for file in (tmp_path / ".metrics.jsonl.77.tmp", run.features / ".features-00001.99.tmp"):
        file.write_text("half")
    (run.features / "features-00000.safetensors").write_text("whole")
    with run.locked():
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"lock", "checkpoints", "features", "features/features-00000.safetensors"}


def test_warnings_and_the_outcome_are_those_of_the_last_process(tmp_path):
    run = RunFolder(tmp_path)
    run.warn(3, "the disk is full")
    run.write_outcome(Outcome("stopped", 3))
    assert read_json_lines(run.warnings) == [{"step": 3, "message": "the disk is full"}]
    run.forget_ending()
    assert read_json_lines(run.warnings) == []
    assert run.read_outcome() is None
