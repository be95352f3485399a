"""One process or several: who am I, and what do all of us agree on."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from paka.errors import TrainingError

T = TypeVar("T")


class Processes:
    """The processes of one run, as started by torchrun; just one if it was not."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))

    @property
    def first(self) -> bool:
        """True in the process that writes."""
        return self.rank == 0

    def device(self, wanted: str) -> torch.device:
        """This process's device: a GPU of its own if there is one, unless `cpu` is wanted.

        Raises:
            TrainingError: there is no GPU for this process.
        """
        gpus = torch.cuda.device_count()
        if wanted == "cuda" or (wanted == "auto" and gpus):
            if self.local_rank >= gpus:
                raise TrainingError(
                    f"{self.local_rank + 1} processes need as many GPUs, and {gpus} can be seen; "
                    "lower runtime.processes, or set runtime.device to cpu"
                )
            device = torch.device("cuda", self.local_rank)
            torch.cuda.set_device(device)
            return device
        return torch.device("cpu")

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Meet the other processes: gloo on the CPU, nccl between GPUs."""
        if self.count == 1:
            yield
            return
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        try:
            yield
        finally:
            dist.destroy_process_group()

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Average the module's gradients over all processes in every backward pass."""
        if self.count == 1:
            return module
        devices = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(
            module, device_ids=devices, broadcast_buffers=False, gradient_as_bucket_view=True
        )

    def no_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """The context of a backward pass whose gradients wait to be shared with a later one's."""
        if isinstance(module, nn.parallel.DistributedDataParallel):
            return module.no_sync()
        return nullcontext()

    def any(self, flag: bool) -> bool:
        """True everywhere if it is true anywhere."""
        if self.count == 1:
            return flag
        value = torch.tensor(int(flag))
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value)

    def gather(self, items: list[T]) -> list[T]:
        """The items of all processes, in the same order everywhere."""
        if self.count == 1:
            return items
        parts: list[list[T]] = [[] for _ in range(self.count)]
        dist.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.count > 1:
            dist.all_reduce(value, dist.ReduceOp.SUM)
            value /= self.count
        return value


def device_name(device: torch.device) -> str:
    """What people call a device: the GPU's model, or `CPU`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
