import time

import pytest
import torch

from paka.run_folder import RunFolder
from paka.step_parts import PARTS
from paka.step_timer import StepTimer
from paka.trainer import Trainer


@pytest.fixture
def clock(monkeypatch):
    """Sets the time that the timer sees."""
    now = [0.0]
    monkeypatch.setattr("paka.step_timer.time.perf_counter", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_each_part_has_the_time_before_its_marks(clock):
    timer = StepTimer(torch.device("cpu"))
    clock(100)
    timer.restart()
    for _ in range(2):
        clock(1)
        timer.mark("load")
        clock(4)
        timer.mark("teacher")
        clock(2)
        timer.mark("load")  # a step of several batches comes back to a part
        clock(50)
        timer.mark()
    assert timer.take(2) == {"seconds_load": 3, "seconds_teacher": 4}


def test_nothing_is_counted_twice_nor_lost_between_two_lines(clock):
    timer = StepTimer(torch.device("cpu"))
    timer.restart()
    clock(1)
    timer.mark("loss")
    assert timer.take(1) == {"seconds_loss": 1}
    clock(2)
    timer.mark("loss")
    assert timer.take(1) == {"seconds_loss": 2}
    assert timer.take(1) == {}
    clock(3)
    timer.mark("loss")
    timer.restart()
    assert timer.take(1) == {}


class Event:
    """A CUDA event of a device that is a second behind the host for each event."""

    made = 0

    def __init__(self, enable_timing):
        assert enable_timing
        self.at = None

    def record(self):
        Event.made += 1
        self.at = Event.made

    def elapsed_time(self, after):
        return 1000.0 * (after.at - self.at)


def test_on_a_gpu_the_time_is_the_devices(monkeypatch):
    monkeypatch.setattr("torch.cuda.Event", Event)
    timer = StepTimer(torch.device("cuda"))
    timer.restart()
    timer.mark("load")
    timer.mark("backward")
    timer.mark()
    timer.mark("load")
    assert timer.take(1) == {"seconds_load": 2, "seconds_backward": 1}


def test_the_parts_of_a_training_are_all_there_and_make_up_its_steps(small_config, tmp_path):
    config = small_config(
        runtime={"log_every": 4, "checkpoint_every_steps": None},
        optim={"accumulate": 2, "max_steps": 8},
    )
    started = time.monotonic()
    Trainer(config, RunFolder(tmp_path)).run()
    took = time.monotonic() - started
    rows = RunFolder(tmp_path).read_metrics()
    assert [row["step"] for row in rows] == [1, 4, 8]
    total = 0.0
    for row, steps in zip(rows, (1, 3, 4), strict=True):
        parts = {key: value for key, value in row.items() if key.startswith("seconds_")}
        assert list(parts) == [f"seconds_{part}" for part in PARTS]
        assert all(value > 0 for value in parts.values())
        assert sum(parts.values()) <= row["step_seconds"] + 1e-6
        assert sum(parts.values()) > 0.8 * row["step_seconds"]
        total += steps * sum(parts.values())
    assert total < took
