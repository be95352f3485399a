"""Watching the steps of a training from within its process, whoever's it is: by a hook of torch.

A step is from the end of one update by the optimizer to the end of the next, so everything is in
it: waiting for images, encoders, losses, the update, the moving average, and logging.
"""

import os
import time
from collections.abc import Callable
from itertools import pairwise
from multiprocessing import active_children
from pathlib import Path
from typing import Any, NamedTuple

from torch.optim.optimizer import register_optimizer_step_post_hook

from benchmarks.memory import own_mib, resident_mib

_TICKS = os.sysconf("SC_CLK_TCK")


class Timed(NamedTuple):
    """Of each measured step: seconds, and the processor's seconds, loading processes included.

    `process_mib` is the training process's highest resident size up to the last step, and
    `loaders_mib` the most that its loading processes held beside it at the end of a step: their
    own pages, not those that they share with it.
    """

    seconds: list[float]
    processor: list[float]
    process_mib: float
    loaders_mib: float


def timed(train: Callable[[], object], warm_up: int) -> Timed:
    """Train, and look at clocks and memory after each update; the first steps do not count."""
    clocks: list[tuple[float, float]] = []
    peak, loaders = 0.0, 0.0

    def after_update(*_: Any) -> None:
        nonlocal peak, loaders
        clocks.append((time.perf_counter(), _processor_seconds()))
        # What comes after the training, such as writing its result, is not to count.
        peak = resident_mib("VmHWM")
        loaders = max(loaders, sum(own_mib(child.pid or 0) for child in active_children()))

    hook = register_optimizer_step_post_hook(after_update)
    try:
        train()
    finally:
        hook.remove()
    steps = [
        (end[0] - begin[0], end[1] - begin[1]) for begin, end in pairwise(clocks[warm_up - 1 :])
    ]
    seconds, processor = zip(*steps, strict=True)
    return Timed(list(seconds), list(processor), peak, loaders)


def _processor_seconds() -> float:
    children = [Path(f"/proc/{child.pid}/stat").read_text() for child in active_children()]
    fields = [text.rpartition(")")[2].split() for text in children]
    ticks = sum(int(each[11]) + int(each[12]) for each in fields)  # in the process and for it
    return time.process_time() + ticks / _TICKS
