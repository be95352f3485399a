"""An MLflow server that is away, or never answers, costs the training nothing."""

import socket
import time

import pytest

from paka.files import read_json_lines
from paka.loggers import mlflow
from paka.loggers.mlflow import MlflowLogger
from paka.run_folder import RunFolder


@pytest.fixture
def silent():
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://user:secret@127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def quick(monkeypatch):
    """Short waits, as a test has."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setattr(mlflow, "_CLOSE_SECONDS", 0.5)


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "silent"])
def test_logging_returns_at_once_and_tells_once(
    refuses, quick, silent, small_config, tmp_path, monkeypatch
):
    address = "http://user:secret@127.0.0.1:1" if refuses else silent
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    run = RunFolder(tmp_path)
    logger = MlflowLogger(small_config(logging={"mlflow": True}), run)
    start = time.monotonic()
    for step in range(200):
        logger.log({"step": step, "loss": 1.0})
    assert time.monotonic() - start < 1
    deadline = time.monotonic() + 20
    while not read_json_lines(run.warnings) and time.monotonic() < deadline:
        logger.log({"step": step, "loss": 1.0})
        time.sleep(0.05)
    start = time.monotonic()
    logger.close("finished")
    assert time.monotonic() - start < 5
    [warning] = read_json_lines(run.warnings)
    assert warning["message"].startswith("MLflow does not take this run's metrics: ")
    assert "secret" not in warning["message"]
    logger._thread.join(10)


def test_what_waits_is_bounded(small_config, quick, tmp_path, monkeypatch):
    logger = MlflowLogger(small_config(), RunFolder(tmp_path))
    monkeypatch.setattr(logger._thread, "start", lambda: None)
    for step in range(mlflow._MAX_WAITING + 5):
        logger.log({"step": step})
    assert len(logger._waiting) == mlflow._MAX_WAITING
    assert logger._waiting[0].step == 5
