"""Leaving: on request, with an error, and with the parent."""

import os
import signal
import time
from pathlib import Path

import pytest

from paka.checkpoint import verify
from paka.run_folder import RunFolder, list_checkpoints

LONG = {"optim": {"max_steps": 100_000}, "runtime": {"checkpoint_every_steps": None}}


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def descendants(pid):
    """Pids of all living processes below `pid`."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue  # it has just gone
        if state != "Z":
            parents.setdefault(int(parent), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def alive(pids):
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.fixture
def running(small_config, start_run, tmp_path):
    """A launched run in the middle of its steps."""
    run = RunFolder(tmp_path / "run")
    process = start_run(run, small_config(**LONG), "paka.launch")
    wait_for(lambda: process.poll() is not None or len(run.read_metrics()) > 2)
    assert process.poll() is None, (run.path / "train.log").read_text()
    return run, process


def test_sigterm_leaves_a_checkpoint_and_no_process(running):
    run, process = running
    below = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 3
    assert run.read_outcome().outcome == "stopped"
    [checkpoint] = list_checkpoints(run.checkpoints)
    assert verify(checkpoint)["step"] == run.read_outcome().step
    wait_for(lambda: not alive(below), 10)


def test_a_killed_launcher_takes_its_processes_with_it(running):
    _, process = running
    below = descendants(process.pid)
    assert below
    process.kill()
    process.wait()
    wait_for(lambda: not alive(below), 30)


def test_a_killed_training_process_is_told_by_the_exit_code(running):
    run, process = running
    [trainer] = [pid for pid in descendants(process.pid) if b"paka.train" in command_line(pid)]
    os.kill(trainer, signal.SIGKILL)
    assert process.wait(60) == 128 + signal.SIGKILL
    assert run.read_outcome() is None


def test_an_error_is_told_in_one_sentence(small_config, start_run, tmp_path):
    run = RunFolder(tmp_path / "run")
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photograph")
    config = small_config(dataset=str(photos), runtime={"workers": 1})
    process = start_run(run, config, "paka.launch")
    assert process.wait(60) == 1
    outcome = run.read_outcome()
    assert outcome.outcome == "failed"
    assert "broken.jpg" in outcome.error
    assert "\n" not in outcome.error
    assert "Traceback" in (run.path / "train.log").read_text()
    assert not list_checkpoints(run.checkpoints)


def test_an_earlier_outcome_does_not_outlive_a_new_start(running):
    run, process = running
    assert run.read_outcome() is None
    process.send_signal(signal.SIGTERM)
    process.wait(30)
