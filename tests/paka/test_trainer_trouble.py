"""Runs that are stopped, killed or given bad images or a bad loss, and go on."""

import shutil
import signal
import time

import pytest
from safetensors.torch import load_file

from paka.encoder import DenseEncoder
from paka.errors import DataError, TrainingError
from paka.files import read_json_lines
from paka.presets import merge
from paka.run_folder import RunFolder
from tests.paka.conftest import GENTLE, same, stop_at, with_loss


def finish(process, run, seconds=120):
    code = process.wait(seconds)
    assert code == 0, (run.path / "train.log").read_text()


def test_a_loss_that_is_not_finite_stops_before_the_update(trainer, tmp_path):
    broken, steps = trainer(tmp_path, runtime={"log_every": 3}), []

    def spoilt(loss_of, batch):
        steps.append(broken.step)
        return loss_of(batch) * (float("nan") if broken.step == 7 else 1)

    with_loss(broken, spoilt)
    with pytest.raises(TrainingError, match=r"loss is nan .*is that of step 5, .*step-00000005"):
        broken.run()
    assert steps[-1] <= 9
    assert [p.name for p in RunFolder(tmp_path).checkpoints.iterdir()] == ["step-00000005"]
    after = list(broken.learner.student.parameters())
    assert all(p.isfinite().all() for p in after)


def test_a_loss_that_is_not_finite_from_the_start_leaves_no_checkpoint(trainer, tmp_path):
    broken = with_loss(trainer(tmp_path), lambda loss_of, batch: loss_of(batch) * float("inf"))
    with pytest.raises(TrainingError, match="there is no checkpoint yet"):
        broken.run()
    assert not RunFolder(tmp_path).checkpoints.exists()


def test_a_loss_that_grows_for_good_stops_the_run_also_over_a_resume(trainer, tmp_path):
    over = {
        "optim": {"max_steps": 20},
        "runtime": {"checkpoint_every_steps": 2, "keep_checkpoints": 9},
    }

    def grows(trainer):
        return with_loss(trainer, lambda of, batch: of(batch) * (10 if trainer.step >= 11 else 1))

    first = grows(trainer(tmp_path, **over))
    stop_at(first, 13)
    assert first.run() == ("stopped", 13, None)
    with pytest.raises(TrainingError, match=r"diverges: .* at step 14, .*is that of step 10, "):
        grows(trainer(tmp_path, **over)).run()


@pytest.mark.parametrize("file", ["state.pt", "encoder.safetensors", "meta.json"])
def test_a_checkpoint_that_was_cut_is_passed_over_for_the_one_before(trainer, tmp_path, file):
    trainer(tmp_path / "whole").run()
    broken = trainer(tmp_path / "parts")
    broken._save_result = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        broken.run()
    damaged = tmp_path / "parts/checkpoints/step-00000010" / file
    damaged.write_bytes(damaged.read_bytes()[:-7])
    resumed = trainer(tmp_path / "parts")
    resume, begun = resumed._resume, []
    resumed._resume = lambda: begun.append(resume()) or begun[0]
    resumed.run()
    assert begun == [5]
    assert same(tmp_path / "whole/final", tmp_path / "parts/final")


def test_stopping_writes_a_checkpoint_and_resuming_repeats_the_uninterrupted_run(trainer, tmp_path):
    trainer(tmp_path / "whole").run()
    interrupted = trainer(tmp_path / "parts")
    stop_at(interrupted, 7)
    assert interrupted.run() == ("stopped", 7, None)
    assert trainer(tmp_path / "parts").run() == ("finished", 12, None)
    assert same(tmp_path / "whole/final", tmp_path / "parts/final")
    rows = [[r["loss"] for r in RunFolder(tmp_path / x).read_metrics()] for x in ("whole", "parts")]
    assert rows[0] == rows[1]


SPOILT = {"cut.jpg", "gone.jpg"}


@pytest.fixture
def spoilt_photos(photos, tmp_path):
    """The photographs, and two files that are none."""
    folder = shutil.copytree(photos, tmp_path / "spoilt")
    (folder / "cut.jpg").write_bytes((photos / "china.jpg").read_bytes()[:900])
    (folder / "gone.jpg").symlink_to("nowhere")
    return folder


def test_unreadable_images_are_listed_once_and_change_nothing_else(
    trainer, spoilt_photos, tmp_path
):
    over = {"dataset": str(spoilt_photos), "runtime": {"max_unreadable": 0.2, "probe_images": 14}}
    trainer(tmp_path / "whole", **over).run()
    stopped = trainer(tmp_path / "parts", **merge(over, {"runtime": {"workers": 1}}))
    stop_at(stopped, 7)
    stopped.run()
    trainer(tmp_path / "parts", **over).run()
    assert same(tmp_path / "whole/final", tmp_path / "parts/final")
    for name in ("whole", "parts"):
        rows = read_json_lines(RunFolder(tmp_path / name).skipped)
        assert len(rows) == 2
        assert {row["image"] for row in rows} == SPOILT


def test_too_many_unreadable_images_stop_the_run_with_their_list(trainer, spoilt_photos, tmp_path):
    over = {"dataset": str(spoilt_photos), "runtime": {"max_unreadable": 0.1}}
    listed = r"2 of 14 images cannot be read.*(cut\.jpg .*; gone\.jpg |gone\.jpg .*; cut\.jpg )"
    with pytest.raises(DataError, match=listed):
        trainer(tmp_path / "run", **over).run()
    rows = read_json_lines(RunFolder(tmp_path / "run").skipped)
    assert {row["image"] for row in rows} == SPOILT


def test_a_killed_run_resumes_to_the_same_bits(trainer, small_config, start_run, tmp_path):
    over = {"optim": {"max_steps": 24}, "runtime": {"workers": 1}}
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    trainer(whole.path, **over).run()
    process = start_run(killed, small_config(**over))
    deadline = time.monotonic() + 60
    while not list(killed.checkpoints.glob("step-*/meta.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert killed.read_outcome() is None
    assert not killed.final.exists()
    finish(start_run(killed), killed)
    assert killed.read_outcome().outcome == "finished"
    assert same(whole.final, killed.final)
    assert [r["step"] for r in killed.read_metrics()] == list(range(1, 25))


def test_two_processes_follow_one(trainer, small_config, start_run, spoilt_photos, tmp_path):
    over = {
        "dataset": str(spoilt_photos),
        "optim": {**GENTLE, "max_steps": 20},
        "runtime": {"checkpoint_every_steps": None, "max_unreadable": 0.2},
    }
    runs = RunFolder(tmp_path / "one"), RunFolder(tmp_path / "two")
    trainer(runs[0].path, **over).run()
    two = merge(over, {"runtime": {"processes": 2, "probe_images": 2}})
    finish(start_run(runs[1], small_config(**two), "paka.launch"), runs[1])
    skipped = [{row["image"] for row in read_json_lines(run.skipped)} for run in runs]
    assert skipped == [SPOILT, SPOILT]
    one, other = (load_file(run.final / "encoder.safetensors") for run in runs)
    assert max((one[name] - other[name]).abs().max() for name in one) < 1e-4
    start_weights = DenseEncoder("test_vit", "random").vit.state_dict()
    assert max((one[name] - start_weights[name]).abs().max() for name in one) > 1e-5


def test_a_run_killed_before_its_first_checkpoint_probes_its_start_once(trainer, tmp_path):
    early = {"runtime": {"probe_images": 2, "checkpoint_every_steps": None}}
    broken = with_loss(trainer(tmp_path, **early), lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.run()
    trainer(tmp_path, **early).run()
    assert [row["step"] for row in RunFolder(tmp_path).read_metrics()] == list(range(13))
