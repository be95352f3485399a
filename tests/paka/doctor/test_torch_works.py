"""The probe's steps in this process, what is made of them, and real processes that break."""

import json
import signal
import sys

import pytest
import torch

from paka.doctor import probe, torch_works
from paka.doctor.finding import Level, Request


@pytest.fixture
def found_by():
    """What is found where the probe is a process that runs `code`."""

    def find(code):
        with torch_works.started((sys.executable, "-c", code)):
            return list(torch_works.check(Request()))

    return find


def test_all_works_here(capsys):
    probe.main()
    answers, unfinished, _ = torch_works.read(capsys.readouterr().out)
    assert list(answers) == list(probe.STEPS)
    assert unfinished is None
    assert not [answer for answer in answers.values() if "error" in answer]
    (found,) = torch_works._JUDGES["torch"](answers["torch"])
    assert torch.__version__ in found.found
    (found,) = torch_works._JUDGES["starter"](answers["starter"])
    assert found.level is Level.OK


def test_a_step_that_raises_is_told_and_the_next_is_taken(monkeypatch, capsys):
    def broken():
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(probe, "STEPS", {"torchvision": broken, "torch": probe.torch_itself})
    probe.main()
    answers, _, _ = torch_works.read(capsys.readouterr().out)
    assert answers["torchvision"] == {
        "error": "RuntimeError: operator torchvision::nms does not exist"
    }
    assert "version" in answers["torch"]


def test_torchvision_of_another_torch_is_explained():
    found = torch_works.failed(
        "torchvision", "RuntimeError: operator torchvision::nms does not exist"
    )
    assert found.level is Level.PROBLEM
    assert f"was not built for torch {torch.__version__.partition('+')[0]}" in found.found
    assert "paka-service[train]" in found.remedy


def test_a_missing_package_is_no_problem_of_this_topic():
    found = torch_works.failed("torch", "ModuleNotFoundError: No module named 'torch'")
    assert (found.level, found.found) == (Level.NOT_APPLICABLE, "No module named 'torch'")


def test_a_missing_library_of_cuda_asks_for_the_build_that_fits():
    error = "OSError: libcudart.so.13: cannot open shared object file: No such file or directory"
    assert "for your driver" in torch_works.failed("torch", error).remedy
    assert "for your driver" not in torch_works.failed("faiss", "ValueError: no").remedy


def test_a_process_that_breaks_names_step_and_signal(found_by):
    code = (
        "import json, os, signal\n"
        "print(json.dumps({'step': 'faiss'}), flush=True)\n"
        "os.write(2, b'symbol lookup error: undefined symbol')\n"
        "os.kill(os.getpid(), signal.SIGSEGV)"
    )
    (found,) = found_by(code)
    assert (found.check, found.level) == ("faiss", Level.PROBLEM)
    assert found.found == "broke the process (SIGSEGV): symbol lookup error: undefined symbol"


def test_a_process_that_hangs_is_ended(found_by, monkeypatch):
    monkeypatch.setattr(torch_works, "SECONDS", 0.5)
    line = json.dumps({"step": "GPUs"})
    (found,) = found_by(f"import time; print('{line}', flush=True); time.sleep(60)")
    assert (found.check, found.level) == ("GPUs", Level.PROBLEM)
    assert "did not answer" in found.found


def test_a_processor_without_the_instructions_is_named():
    assert "SIGILL" in torch_works.ended("torch", -signal.SIGILL, "").found


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"finite": False, "mean": float("nan")}, "not finite"),
        ({"finite": True, "mean": 0.5}, "0.5000 instead of 0.9591"),
    ],
)
def test_features_that_are_wrong_are_a_problem(answer, words):
    (found,) = torch_works._JUDGES["starter"](answer)
    assert found.level is Level.PROBLEM
    assert words in found.found


def test_the_probe_does_not_outlive_the_command():
    with torch_works.started((sys.executable, "-c", "import time; time.sleep(60)")):
        process = torch_works._running[-1]
    assert process.returncode == -signal.SIGKILL
    assert torch_works._running == []
