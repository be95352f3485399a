"""A training as a run of an MLflow server. Each call waits for the server, or raises what MLflow
does.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from paka.config import TrainConfig
from paka.extras import load_extra
from paka.files import read_json, write_json
from paka.run_folder import OutcomeName, RunFolder

_STATUS: dict[OutcomeName, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}

_ENVIRONMENT = {
    # A request takes no longer, where MLflow by itself would try for many minutes.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    # It would tell its makers that it is used.
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

# In one request, and of one value, as MLflow allows.
_MAX_PARAMS, _MAX_METRICS, _MAX_VALUE = 100, 1000, 6000


class Metrics(NamedTuple):
    """What was measured at a step, and when, in milliseconds since 1970."""

    step: int
    milliseconds: int
    values: dict[str, float]


def load_mlflow() -> Any:
    """Import MLflow.

    Raises:
        ConfigError: it is not installed.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    return load_extra("mlflow", "logging", "logging.mlflow")


class MlflowRun:
    """The run at the server: the one that the folder knows of, or a new one.

    Attributes:
        sent: the last step of which the server has metrics, -1 if of none.
    """

    def __init__(self, config: TrainConfig, run: RunFolder) -> None:
        self._config, self._folder = config, run
        self._mlflow = load_mlflow()
        self._client = self._mlflow.MlflowClient()
        self.sent = -1
        self._id = self._known() or self._create()
        self._send_settings()

    def log(self, metrics: Sequence[Metrics]) -> None:
        """Send those of steps that the server does not have."""
        new = [each for each in metrics if each.step > self.sent]
        entities = [
            self._mlflow.entities.Metric(name, value, each.milliseconds, each.step)
            for each in new
            for name, value in each.values.items()
        ]
        for start in range(0, len(entities), _MAX_METRICS):
            self._client.log_batch(self._id, metrics=entities[start : start + _MAX_METRICS])
        self.sent = max((each.step for each in new), default=self.sent)

    def end(self, ending: OutcomeName) -> None:
        """Say how it ended, and where its result is; send the result if that was asked for."""
        if ending == "finished":
            weights = self._folder.final.absolute() / "encoder.safetensors"
            self._client.set_tag(self._id, "paka.result", str(weights))
            if self._config.logging.mlflow_upload:
                self._client.log_artifact(self._id, str(weights))
        self._client.set_terminated(self._id, _STATUS[ending])

    def _known(self) -> str | None:
        """The id of the run that an earlier process has begun, if the server still has it."""
        if not self._folder.mlflow.exists():
            return None
        run_id: str = read_json(self._folder.mlflow)["run_id"]
        try:
            history = self._client.get_metric_history(run_id, "loss")
            self._client.update_run(run_id, status="RUNNING")
        except self._mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        self.sent = max((metric.step for metric in history), default=-1)
        return run_id

    def _create(self) -> str:
        folder, name = self._folder.path.absolute(), self._config.logging.mlflow_experiment
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        # The folder's name is the job's id, where there is a job.
        tags = {"paka.run": folder.name, "paka.folder": str(folder)}
        created = self._client.create_run(experiment, run_name=folder.name, tags=tags)
        run_id: str = created.info.run_id
        write_json(self._folder.mlflow, {"run_id": run_id})
        return run_id

    def _send_settings(self) -> None:
        """Send all settings; a server that has them already takes the same ones again."""
        flat = _flatten(self._config.model_dump(mode="json"))
        params = [self._mlflow.entities.Param(name, value[:_MAX_VALUE]) for name, value in flat]
        for start in range(0, len(params), _MAX_PARAMS):
            self._client.log_batch(self._id, params=params[start : start + _MAX_PARAMS])


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and texts."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
