"""All loggers of a run together: what one of them does wrong, the others and the run survive."""

import sys

import pytest

from paka.errors import ConfigError
from paka.files import read_json_lines
from paka.loggers.run_loggers import RunLoggers
from paka.run_folder import RunFolder


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


class Broken:
    """Takes one row, and cannot be closed."""

    def __init__(self):
        self.rows = []

    def log(self, row):
        if self.rows:
            raise OSError(28, "No space left on device")
        self.rows.append(row)

    def close(self, ending):
        raise RuntimeError("still broken")


class Sound(Broken):
    def log(self, row):
        self.rows.append(row)

    def close(self, ending):
        self.ending = ending


def test_without_a_wish_there_is_metrics_jsonl_alone(small_config, run):
    for step in (1, 2, 3):
        run.append_metrics({"step": step})
    with RunLoggers(small_config(), run, 2, writes=True) as loggers:
        loggers.log({"step": 3, "loss": 0.5})
    assert [row["step"] for row in run.read_metrics()] == [1, 2, 3]
    assert run.read_metrics()[-1]["loss"] == 0.5
    assert [path.name for path in run.path.iterdir()] == ["metrics.jsonl"]


def test_a_process_that_does_not_write_writes_nothing(small_config, run):
    config = small_config(logging={"tensorboard": True, "mlflow": True})
    with RunLoggers(config, run, -1, writes=False) as loggers:
        loggers.log({"step": 1})
    assert list(run.path.iterdir()) == []


def test_a_logger_that_fails_is_told_of_once_and_asked_no_more(small_config, run):
    broken, sound = Broken(), Sound()
    with RunLoggers(small_config(), run, -1, writes=True) as loggers:
        loggers._others += [broken, sound]
        for step in range(4):
            loggers.log({"step": step})
        loggers.ending = "finished"
    assert [row["step"] for row in sound.rows] == [0, 1, 2, 3]
    assert sound.ending == "finished"
    assert len(run.read_metrics()) == 4
    [warning] = read_json_lines(run.warnings)
    assert warning["step"] == 1
    assert "Broken takes no more metrics ([Errno 28] No space left" in warning["message"]


def test_an_error_ends_the_run_as_failed_and_one_in_closing_hides_nothing(small_config, run):
    sound = Sound()
    loggers = RunLoggers(small_config(), run, -1, writes=True)
    loggers._others += [Broken(), sound]
    with pytest.raises(RuntimeError, match="of the run"), loggers:
        raise RuntimeError("of the run")
    assert sound.ending == "failed"


def test_mlflow_without_an_address_is_a_warning(small_config, run, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with RunLoggers(small_config(logging={"mlflow": True}), run, 7, writes=True):
        pass
    [warning] = read_json_lines(run.warnings)
    assert warning["step"] == 7
    assert warning["message"].startswith("MLFLOW_TRACKING_URI is not set")


@pytest.mark.parametrize("package", ["tensorboard", "mlflow"])
def test_a_package_that_is_missing_is_named_with_its_extra(small_config, run, monkeypatch, package):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"logging\.{package} needs {package}.*'paka-service\[logging\]'"
    with pytest.raises(ConfigError, match=message):
        RunLoggers(small_config(logging={package: True}), run, -1, writes=True)
