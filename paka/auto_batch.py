"""Finding by trial how much of a batch a process can hold in memory at once."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from paka.config import TrainConfig
from paka.errors import TrainingError
from paka.memory import is_out_of_memory, release_memory, what_to_lower
from paka.optim import all_parameters
from paka.views.pipeline import ViewBatch


class Trial(NamedTuple):
    """Does what a step does, but for the update; it may run out of memory.

    `views` are at least as many as are to be tried, `loss_of` gives the loss of some of them.
    """

    views: ViewBatch
    loss_of: Callable[[ViewBatch], Tensor]
    optimizer: torch.optim.Optimizer
    device: torch.device

    def run(self, images: int) -> None:
        """Try so many images at once; nothing of it is left."""
        batch = ViewBatch(*(tensor[:images] for tensor in self.views))
        moments = []
        try:
            if not self.optimizer.state:  # they come with the first update, and stay
                params = list(all_parameters(self.optimizer))
                moments = [torch.empty_like(p) for p in (*params, *params)]
            for _ in range(2):  # the second time, there are gradients and gaps in the memory
                self.loss_of(batch.to(self.device)).backward()
        finally:
            moments.clear()
            self.optimizer.zero_grad(set_to_none=True)


def with_accumulate(config: TrainConfig, parts: int) -> TrainConfig:
    """The same run with its batch split into so many parts."""
    optim = config.optim.model_copy(update={"accumulate": parts})
    return config.model_copy(update={"optim": optim})


def fit_to_memory(
    config: TrainConfig, trial: Trial, any_of_us: Callable[[bool], bool]
) -> TrainConfig:
    """Return the config with the least `optim.accumulate`, from its own on, that fits.

    Args:
        any_of_us: true in all processes if it is true in one.

    Raises:
        TrainingError: not even one image at a time fits.
    """
    share = config.optim.batch_size // config.runtime.processes
    for parts in range(config.optim.accumulate, share + 1):
        if share % parts == 0:
            config = with_accumulate(config, parts)
            fits = _fits(trial, share // parts)
            if config.runtime.compile:
                # Each size is compiled by itself, and after eight torch compiles no more.
                torch.compiler.reset()
            if not any_of_us(not fits):
                return config
    raise TrainingError(f"out of memory with one image at a time: {what_to_lower(config)}")


def _fits(trial: Trial, images: int) -> bool:
    try:
        trial.run(images)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        fits = False
    else:
        fits = True
    # Not in the handler: there the exception still holds the tensors of the trial.
    release_memory()
    return fits
