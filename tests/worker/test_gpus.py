"""The GPUs, with a command in the place of nvidia-smi."""

import pytest

from worker.gpus import Gpu, describe_device, find_gpus

TWO = "0, GPU-aa11, 81920, 81000, 37, NVIDIA A, 80GB\n1, GPU-bb22, 40960, [N/A], [N/A], NVIDIA B\n"


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts an nvidia-smi that prints a text and exits with a code where it is found first."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(text, code=0):
        (tmp_path / "text").write_text(text)
        command = tmp_path / "nvidia-smi"
        command.write_text(f"#!/bin/sh\ncat {tmp_path}/text\nexit {code}\n")
        command.chmod(0o755)

    return put


def test_all_gpus_are_named(nvidia_smi):
    nvidia_smi(TWO)
    assert describe_device(find_gpus()) == "NVIDIA A, 80GB, NVIDIA B"


def test_memory_is_in_bytes_and_what_nobody_can_tell_is_unknown(nvidia_smi):
    nvidia_smi(TWO)
    assert find_gpus() == [
        Gpu("0", "GPU-aa11", 81920 * 2**20, 81000 * 2**20, "NVIDIA A, 80GB", 0.37),
        Gpu("1", "GPU-bb22", 40960 * 2**20, None, "NVIDIA B"),
    ]


@pytest.mark.parametrize("code", [0, 9])
def test_what_goes_wrong_is_not_taken_for_a_gpu(nvidia_smi, code):
    nvidia_smi("NVIDIA-SMI has failed because it couldn't communicate with the driver.\n", code)
    assert describe_device(find_gpus()) == "cpu"


def test_a_machine_without_the_command_has_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_device(find_gpus()) == "cpu"


@pytest.mark.parametrize(
    ("visible", "named"),
    [
        ("1", "NVIDIA B"),
        ("1,0", "NVIDIA B, NVIDIA A, 80GB"),
        ("GPU-bb", "NVIDIA B"),
        ("1,7,0", "NVIDIA B"),
        ("MIG-cc33", "MIG-cc33"),
        ("", "cpu"),
        ("-1", "cpu"),
    ],
)
def test_only_the_visible_gpus_are_named(nvidia_smi, monkeypatch, visible, named):
    nvidia_smi(TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert describe_device(find_gpus()) == named
