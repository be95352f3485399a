"""Loading processes: from a data set to batches of views, in a run's order."""

import os
import signal

import torch
from torch.utils.data import DataLoader

from paka.config import TrainConfig
from paka.data.sampling import StreamSampler
from paka.data.source import ImageSource
from paka.distributed import Processes
from paka.process import die_with_parent
from paka.views.pipeline import Loaded, ViewsDataset, collate


def make_loader(
    config: TrainConfig,
    images: ImageSource,
    processes: Processes,
    device: torch.device,
    start_step: int,
) -> DataLoader[Loaded]:
    """Return an endless loader of this process's micro-batches, from step `start_step` on.

    A step's images depend on the seed and the step alone, not on how many processes share them.
    """
    sampler = StreamSampler(
        config.optim.batch_size,
        rank=processes.rank,
        world=processes.count,
        start_step=start_step,
    )
    workers = config.runtime.workers
    return DataLoader(
        ViewsDataset(images, config),
        batch_size=config.optim.batch_size // processes.count // config.optim.accumulate,
        sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_init_worker,
        pin_memory=device.type == "cuda",
    )


def _init_worker(_index: int) -> None:
    """Leave at once with the parent, whose lock on the run this process has inherited.

    In a process group of its own, for torchrun passes on SIGTERM to all of the trainer's group, and
    loading has to go on until the trainer has finished its step.
    """
    die_with_parent(signal.SIGKILL)
    os.setpgrp()
