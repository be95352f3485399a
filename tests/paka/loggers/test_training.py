"""A real training that fails, and goes on: what TensorBoard and MLflow have of it afterwards."""

import pytest

from paka.files import read_json, read_json_lines
from paka.run_folder import RunFolder
from paka.trainer import Trainer

STEPS = 8


class Failing(Trainer):
    """Ends with an error after six steps, one step after its checkpoint."""

    def _after_step(self):
        super()._after_step()
        if self.step == 6:
            raise RuntimeError("failed on purpose")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An MLflow store of files: the part of MLflow that needs no server."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    # What the logger sets by default goes again with the test.
    for name in ("HTTP_REQUEST_TIMEOUT", "HTTP_REQUEST_MAX_RETRIES", "DISABLE_TELEMETRY"):
        monkeypatch.setenv(f"MLFLOW_{name}", "true" if name == "DISABLE_TELEMETRY" else "1")
    from mlflow import MlflowClient

    return MlflowClient()


def curves(run):
    """All scalars of the event files, as TensorBoard shows them: (step, value) by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.tensorboard)).Reload()
    tags = events.Tags()
    assert tags["tensors"] == ["config/text_summary"]
    assert b"test_vit" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]}


def test_a_run_that_goes_on_is_one_curve_with_each_step_once(small_config, store, tmp_path):
    run = RunFolder(tmp_path / "job_1")
    logging = {"tensorboard": True, "mlflow": True, "mlflow_upload": True}
    settings = {"runtime": {"probe_images": 2}, "optim": {"max_steps": STEPS}}
    config = small_config(logging=logging, **settings)
    with pytest.raises(RuntimeError, match="on purpose"):
        Failing(config, run).run()
    run_id = read_json(run.mlflow)["run_id"]
    assert store.get_run(run_id).info.status == "FAILED"
    Trainer(config, run).run()
    rows = run.read_metrics()
    assert [row["step"] for row in rows] == list(range(STEPS + 1))
    losses = [(row["step"], row["loss"]) for row in rows[1:]]

    found = curves(run)
    assert found["train/loss"] == [(step, pytest.approx(loss)) for step, loss in losses]
    assert [step for step, _ in found["probe/effective_rank"]] == [0, 5, STEPS]
    assert {"train/lr_encoder", "train/images_per_second"} <= found.keys()
    assert "train/total_steps" not in found

    [kept] = store.search_runs([store.get_experiment_by_name("paka").experiment_id])
    assert (kept.info.run_id, kept.info.run_name) == (run_id, "job_1")
    assert kept.info.status == "FINISHED"
    history = sorted(store.get_metric_history(run_id, "loss"), key=lambda metric: metric.step)
    assert [(metric.step, metric.value) for metric in history] == losses
    assert len(store.get_metric_history(run_id, "probe_effective_rank")) == 3
    assert kept.data.params["optim.lr_encoder"] == "0.001"
    assert kept.data.params["encoder.architecture"] == "test_vit"
    assert kept.data.tags["paka.run"] == "job_1"
    assert kept.data.tags["paka.result"] == str(run.final / "encoder.safetensors")
    assert [file.path for file in store.list_artifacts(run_id)] == ["encoder.safetensors"]
    assert read_json_lines(run.warnings) == []


def test_a_run_that_the_server_has_lost_begins_anew(small_config, store, tmp_path):
    from paka.loggers.mlflow_server import Metrics, MlflowRun

    run = RunFolder(tmp_path)
    config = small_config(logging={"mlflow": True, "mlflow_experiment": "other"})
    run.mlflow.write_text('{"run_id": "0123456789abcdef0123456789abcdef"}')
    first = MlflowRun(config, run)
    first.log([Metrics(3, 1, {"loss": 1.0}), Metrics(4, 2, {"loss": 0.5})])
    run_id = read_json(run.mlflow)["run_id"]
    assert run_id != "0123456789abcdef0123456789abcdef"
    again = MlflowRun(config, run)
    assert (read_json(run.mlflow)["run_id"], again.sent) == (run_id, 4)
    again.end("stopped")
    assert store.get_run(run_id).info.status == "KILLED"
    assert store.get_experiment(store.get_run(run_id).info.experiment_id).name == "other"
