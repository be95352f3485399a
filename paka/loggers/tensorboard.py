"""Event files of TensorBoard, in the run's folder `tensorboard`."""

from paka.config import TrainConfig
from paka.extras import load_extra
from paka.loggers.base import Row, numbers
from paka.run_folder import OutcomeName, RunFolder

_FLUSH_SECONDS = 10


class TensorBoardLogger:
    """Every number of a line as a scalar, probes in a group of their own; the settings as a text.

    Args:
        after: what earlier event files say of later steps no longer counts.

    Raises:
        ConfigError: tensorboard is not installed.
    """

    def __init__(self, config: TrainConfig, run: RunFolder, after: int) -> None:
        load_extra("tensorboard", "logging", "logging.tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(
            str(run.tensorboard), purge_step=after + 1, flush_secs=_FLUSH_SECONDS
        )
        if after < 0:
            settings = config.model_dump_json(indent=2)
            self._writer.add_text("config", f"```json\n{settings}\n```", 0)

    def log(self, row: Row) -> None:
        """Hand a line to the thread that writes."""
        for name, value in numbers(row).items():
            group, is_probe, probe = name.partition("probe_")
            tag = f"probe/{probe}" if is_probe and not group else f"train/{name}"
            self._writer.add_scalar(tag, value, row["step"])

    def close(self, ending: OutcomeName) -> None:
        """Write the rest."""
        self._writer.close()
