"""The settings of a run's loggers; without torch and MLflow."""

from pydantic import Field

from paka.settings import Settings


class LoggingConfig(Settings):
    """Where metrics go beside the run's own metrics.jsonl."""

    tensorboard: bool = Field(
        False, description="Write event files for TensorBoard into the run's folder `tensorboard`."
    )
    mlflow: bool = Field(
        False,
        description="Log to the MLflow server that MLFLOW_TRACKING_URI names where the training "
        "runs. A server that does not answer costs metrics there, never the run.",
    )
    mlflow_experiment: str = Field(
        "paka",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$",
        description="Experiment of the run in MLflow: letters, digits, spaces, `.`, `_`, `-`.",
    )
    mlflow_upload: bool = Field(
        False, description="Upload the resulting encoder to MLflow's artifacts as well."
    )
