import pytest

from paka.doctor import gpus
from paka.doctor.finding import Level

GPU = {
    "name": "NVIDIA H100",
    "capability": "9.0",
    "total": 80 * 10**9,
    "free": 79 * 10**9,
    "works": True,
    "bf16": True,
}
LISTED = (["NVIDIA H100, 550.54"], "")


def judge(*devices, known=LISTED, **answer):
    return list(gpus.judge({"devices": list(devices), **answer}, known))


def test_a_gpu_that_works_is_shown_with_its_memory():
    (found,) = judge(GPU)
    assert (found.check, found.level) == ("GPU 0", Level.OK)
    assert found.found == ("NVIDIA H100, compute capability 9.0, 79 GB free of 80 GB, bfloat16")


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"free": 10**9}, Level.WARNING, "somebody else uses it"),
        ({"bf16": False}, Level.WARNING, "no bfloat16"),
        ({"works": False}, Level.PROBLEM, "computes wrongly"),
        (
            {"error": "CUDA error: no kernel image is available for execution on the device"},
            Level.PROBLEM,
            "no kernel image",
        ),
    ],
)
def test_what_may_be_wrong_with_a_gpu(change, level, words):
    (found,) = judge(GPU | change)
    assert found.level is level
    assert words in found.found
    assert found.remedy


def test_no_gpu_is_no_problem():
    (found,) = judge(known=([], ""))
    assert found.level is Level.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("Torch not compiled with CUDA enabled", "this torch is for CPUs"),
        ("The NVIDIA driver on your system is too old (found version 11040).", "update the driver"),
        ("No CUDA GPUs are available", "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_a_problem(reason, remedy):
    (found,) = judge(reason=reason)
    assert found.level is Level.PROBLEM
    assert reason in found.found
    assert remedy in found.remedy


def test_hidden_gpus_are_a_warning():
    found = judge(GPU, known=(2 * LISTED[0], ""))
    assert (found[0].level, found[0].found) == (Level.WARNING, "torch sees 1 of 2")


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    def write(script):
        file = tmp_path / "nvidia-smi"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return write


def test_the_driver_lists_its_gpus(nvidia_smi):
    nvidia_smi("echo 'NVIDIA H100, 550.54'")
    assert gpus.listed() == (["NVIDIA H100, 550.54"], "")


def test_a_driver_that_was_updated_under_running_programs_is_a_problem(nvidia_smi):
    mismatch = "Failed to initialize NVML: Driver/library version mismatch"
    nvidia_smi(f"echo '{mismatch}'; exit 18")
    (found,) = judge(known=gpus.listed())
    assert (found.check, found.level, found.found) == ("driver", Level.PROBLEM, mismatch)


def test_without_nvidia_smi_there_is_nothing_to_list(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.listed() == ([], "")
