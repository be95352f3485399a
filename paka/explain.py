"""What went wrong, in one sentence for the user, and where there is a remedy, which."""

import torch

from paka.errors import PakaError, one_line


def explain(error: Exception) -> str:
    """One sentence about what stopped a training."""
    if isinstance(error, torch.OutOfMemoryError):
        return (
            "out of GPU memory: raise optim.accumulate (same result, less memory), or lower "
            f"optim.batch_size, views.global_size or views.local_crops ({error})"
        )
    if isinstance(error, PakaError):
        return one_line(error)
    return f"{type(error).__name__}: {error}"


def explain_evaluation(error: Exception) -> str:
    """`explain`, for an evaluation."""
    if isinstance(error, torch.OutOfMemoryError):
        return f"out of GPU memory: lower size, or the images at once ({error})"
    return explain(error)
