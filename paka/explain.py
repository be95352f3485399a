"""What went wrong, in one sentence for the user, and where there is a remedy, which."""

from paka.config import TrainConfig
from paka.errors import PakaError, one_line
from paka.files import is_disk_full
from paka.memory import is_out_of_memory, what_to_lower


def explain(error: Exception) -> str:
    """One sentence about what stopped a job."""
    if isinstance(error, PakaError):
        return one_line(error)
    if is_disk_full(error):
        return f"the disk is full: {error}; make space, then resume"
    return f"{type(error).__name__}: {error}"


def explain_training(error: Exception, config: TrainConfig | None) -> str:
    """`explain`, for a training; `config` is None if it could not be read."""
    if config is not None and is_out_of_memory(error):
        return f"out of memory: {what_to_lower(config)} ({error})"
    return explain(error)


def explain_evaluation(error: Exception) -> str:
    """`explain`, for an evaluation."""
    if is_out_of_memory(error):
        return f"out of memory: lower size, or the images at once ({error})"
    return explain(error)
