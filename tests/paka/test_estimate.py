"""Memory and time of runs that have not run; real ones are in docs/performance.md."""

import subprocess
import sys

import pytest

from paka.estimate import Measured, estimate, step_flops

GPU = "NVIDIA H200"


def grown(small_config, **over):
    """A run of a known encoder at usual sizes."""
    base = {"encoder": "vit_tiny_patch16_224", "views": {"global_size": 224, "local_size": 96}}
    return small_config(**{**base, **over})


def test_it_knows_nothing_of_torch():
    script = "import sys, paka.estimate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_operations_are_those_of_the_parameters_and_of_attention(small_config):
    config = grown(small_config, optim={"batch_size": 2}, loss={"grid": 2})
    parameters, teacher_tokens, student_tokens = 5_524_416, 197, 37
    forward = [n * (2 * parameters + 4 * n * 192 * 12) for n in (teacher_tokens, student_tokens)]
    head = 4 * 2 * 32 * (192 + 32 + 16) * 3 * 4
    assert step_flops(config) == pytest.approx(2 * (2 * forward[0] + 3 * 3 * forward[1] + head))


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_more_work_needs_more_and_splitting_saves_memory_only(small_config, device):
    small, large, split, shared = (
        estimate(grown(small_config, **over), 100, device)
        for over in (
            {"optim": {"batch_size": 64}},
            {"optim": {"batch_size": 64}, "encoder": "vit_base_patch16_224"},
            {"optim": {"batch_size": 64, "accumulate": 8}},
            {"optim": {"batch_size": 64}, "runtime": {"processes": 8}},
        )
    )
    assert large.memory_bytes > 2 * small.memory_bytes
    assert large.step_seconds > 2 * small.step_seconds
    assert split.memory_bytes < small.memory_bytes
    assert split.step_seconds == small.step_seconds
    assert shared.memory_bytes == split.memory_bytes
    assert shared.step_seconds < small.step_seconds


def test_steps_are_those_of_the_run_and_take_their_time(small_config):
    optim = {"epochs": 3, "max_steps": None, "batch_size": 10}
    found = estimate(grown(small_config, optim=optim), 95, GPU)
    assert found.total_steps == 29
    assert found.seconds == pytest.approx(29 * found.step_seconds)
    assert found.basis == "model"


def test_the_same_run_needs_what_it_was_measured_to_need(small_config):
    config = grown(small_config)
    found = estimate(config, 100, GPU, [Measured(config, GPU, 0.5, 3 * 2**30)])
    assert (found.memory_bytes, found.step_seconds) == (3 * 2**30, pytest.approx(0.5))
    assert found.basis == "measured"


def test_a_tag_is_no_other_architecture(small_config):
    measured = Measured(grown(small_config), GPU, 0.5, 2**30)
    tagged = grown(small_config, encoder="vit_tiny_patch16_224.augreg_in21k_ft_in1k")
    assert estimate(tagged, 100, GPU, [measured]).basis == "measured"


def test_the_architecture_comes_before_the_size_and_both_before_the_order(small_config):
    config = grown(small_config, optim={"batch_size": 16})
    runs = [
        Measured(grown(small_config, encoder="vit_small_patch16_224"), GPU, 1.0, 2**30),
        Measured(grown(small_config, optim={"batch_size": 256}), GPU, 2.0, 2**30),
        Measured(grown(small_config, optim={"batch_size": 32}), GPU, 4.0, 2**30),
    ]
    by_itself = estimate(config, 100, GPU, [runs[2]])
    assert estimate(config, 100, GPU, runs) == by_itself
    assert by_itself.basis == "measured"
    scaled = estimate(config, 100, GPU, runs[:1])
    assert scaled.basis == "scaled"
    assert scaled.step_seconds != estimate(config, 100, GPU).step_seconds


def test_other_devices_say_nothing(small_config):
    config = grown(small_config)
    assert estimate(config, 100, GPU, [Measured(config, "cpu", 9.0, 2**30)]).basis == "model"
