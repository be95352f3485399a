"""The command, in this process and in its own; and a small encoder as a run leaves it."""

import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from paka.checkpoint import save_checkpoint
from paka.cli import app
from paka.encoder import DenseEncoder
from paka.run_folder import RunFolder


@pytest.fixture
def paka():
    """Calls the command in this process, whose signal handlers it may not keep."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    yield call
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def paka_process(tmp_path):
    """Calls the command in a process of its own, in an empty folder."""

    def call(*arguments):
        command = [sys.executable, "-m", "paka.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return call


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    """The folder of a finished run, with the weights that `test_vit@random` has."""
    run = RunFolder(tmp_path_factory.mktemp("runs") / "finished")
    vit = DenseEncoder("test_vit", "random").vit
    meta = {"step": 1, "total_steps": 1, "architecture": "test_vit"}
    save_checkpoint(run.final, vit, meta, None)
    return run.path
