"""Leaving: on request, with an error, and with the parent."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from paka.checkpoint import verify
from paka.launch import main
from paka.presets import merge
from paka.run_folder import EXIT_CODES, Outcome, RunFolder, list_checkpoints

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


def alive(pids):
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.fixture
def launch_run(small_config, start_run, tmp_path):
    """Launches a run, and returns when it is in the middle of its steps."""

    def launch(**runtime):
        run = RunFolder(tmp_path / "run")
        config = small_config(**merge(LONG, {"runtime": runtime}))
        process = start_run(run, config, "paka.launch")
        wait_for(lambda: process.poll() is not None or len(run.read_metrics()) > 2)
        assert process.poll() is None, (run.path / "train.log").read_text()
        return run, process

    return launch


def test_sigterm_leaves_a_checkpoint_and_no_process(launch_run):
    run, process = launch_run(workers=1)
    assert run.read_outcome() is None
    below = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 3
    assert run.read_outcome().outcome == "stopped"
    [checkpoint] = list_checkpoints(run.checkpoints)
    assert verify(checkpoint)["step"] == run.read_outcome().step
    wait_for(lambda: not alive(below), 10)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_launcher_takes_its_processes_with_it(launch_run, processes):
    _, process = launch_run(processes=processes, workers=1)
    below = descendants(process.pid)
    assert len(below) >= processes
    process.kill()
    process.wait()
    wait_for(lambda: not alive(below), 30)


def test_one_of_several_processes_that_is_killed_is_told_by_the_exit_code(tmp_path):
    # In a process of its own, since torchrun takes over the signals; what it starts needs no torch.
    dies = tmp_path / "dies.py"
    dies.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    script = f"import sys; from paka.launch import *; sys.exit(run_processes(2, ['{dies}']))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == signal.SIGKILL


@pytest.mark.parametrize(
    ("second", "code"),
    [
        ((-signal.SIGKILL, 0), 128 + signal.SIGKILL),
        ((-signal.SIGKILL, 30), EXIT_CODES["failed"]),
        ((-signal.SIGTERM, 0), EXIT_CODES["failed"]),
        ((1, 0), EXIT_CODES["failed"]),
    ],
    ids=["killed", "killed by torchrun", "ended by torchrun", "failed too"],
)
def test_the_error_of_one_process_is_believed_if_no_other_was_killed(
    tmp_path, monkeypatch, second, code
):
    def torchrun(_):
        RunFolder(tmp_path).write_outcome(Outcome("failed", 3, "connection closed by peer"))
        failures = {0: ProcessFailure(0, 10, 1, ""), 1: ProcessFailure(1, 11, second[0], "")}
        failures[1].timestamp = failures[0].timestamp + second[1]
        raise ChildFailedError("train", failures)

    monkeypatch.setattr("torch.distributed.run.main", torchrun)
    monkeypatch.setattr("paka.launch.die_with_parent", lambda: None)
    (tmp_path / "config.json").write_text('{"runtime": {"processes": 2}}')
    assert main(["--run", str(tmp_path)]) == code


def test_a_launcher_leaves_with_its_parent_before_it_imports_torch(tmp_path):
    script = (
        "import os, sys, paka.launch as launch\n"
        "launch.die_with_parent = lambda: os._exit('torch' in sys.modules)\n"
        "launch.main(['--run', 'nowhere'])"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path).returncode == 0


def test_an_error_is_told_in_one_sentence(small_config, start_run, tmp_path):
    run = RunFolder(tmp_path / "run")
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photograph")
    config = small_config(dataset=str(photos), runtime={"processes": 2})
    process = start_run(run, config, "paka.launch")
    assert process.wait(60) == 1
    outcome = run.read_outcome()
    assert outcome.outcome == "failed"
    assert "1 of 1 images cannot be read" in outcome.error
    assert "broken.jpg cannot be decoded" in outcome.error
    assert "\n" not in outcome.error
    assert "Traceback" in (run.path / "train.log").read_text()
    assert not list_checkpoints(run.checkpoints)
