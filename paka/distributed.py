"""One process or several: who am I, and what do all of us agree on."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from paka.errors import TrainingError
from paka.nodes import Node, split_endpoint
from paka.process import StopFlag

T = TypeVar("T")


class Processes:
    """The processes of one run, as started by torchrun; just one if it was not.

    Of a run on several hosts there is a torchrun on each, or just a process, which knows nothing of
    the others: `paka.nodes` tells where they meet.
    """

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.node = Node.from_environment()
        if self.node:
            self.rank += self.node.rank * self.count
            self.count *= self.node.nodes

    @property
    def first(self) -> bool:
        """True in the process that writes."""
        return self.rank == 0

    @property
    def first_here(self) -> bool:
        """True in the process that says how those on this host ended."""
        return self.local_rank == 0

    def device(self, wanted: str) -> torch.device:
        """This process's device: a GPU of its own if there is one, unless `cpu` is wanted.

        Raises:
            TrainingError: there is no GPU for this process.
        """
        gpus = torch.cuda.device_count()
        if wanted == "cuda" or (wanted == "auto" and gpus):
            if self.local_rank >= gpus:
                raise TrainingError(
                    f"{self.local_rank + 1} processes need as many GPUs, and {gpus} can be seen on "
                    f"{socket.gethostname()}; lower runtime.processes, or set runtime.device to cpu"
                )
            device = torch.device("cuda", self.local_rank)
            torch.cuda.set_device(device)
            return device
        return torch.device("cpu")

    @contextmanager
    def joined(self, device: torch.device, stop: StopFlag) -> Iterator[None]:
        """Meet the other processes: gloo on the CPU, nccl between GPUs.

        Those of other hosts may not come: until they have, signals are not left to `stop`.
        """
        if self.count == 1:
            yield
            return
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        if self.node:
            os.environ.update(self.node.interfaces())
            with stop.off():
                store = self._store(self.node)
                dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.count)
        else:
            dist.init_process_group(backend)
        try:
            yield
        finally:
            dist.destroy_process_group()

    def _store(self, node: Node) -> Store:
        """Where the processes of several hosts find each other, kept by the first of them."""
        host, port = split_endpoint(node.rendezvous)
        store = TCPStore(host, port, is_master=self.first, wait_for_workers=False)
        return PrefixStore(node.run_id, store)

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

    def share(self, value: T, device: torch.device) -> T:
        """The first process's value, in every process; that of the others is not looked at.

        Tensors within dicts and lists are sent one by one, and arrive on `device`.
        """
        if self.count == 1:
            return value
        outline = [_with_tensors(value, lambda tensor: tensor.to("meta"))]
        dist.broadcast_object_list(outline, device=torch.device("cpu"))

        def receive(expected: Tensor) -> Tensor:
            tensor = torch.empty_like(expected, device=device)
            dist.broadcast(tensor, src=0)
            return tensor

        def send(tensor: Tensor) -> Tensor:
            dist.broadcast(tensor.detach().to(device).contiguous(), src=0)
            return tensor

        return _with_tensors(value, send) if self.first else _with_tensors(outline[0], receive)

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes."""
        if self.count > 1:
            dist.all_reduce(value, dist.ReduceOp.SUM)
            value /= self.count
        return value


def _with_tensors(value: T, change: Callable[[Tensor], Tensor]) -> T:
    """A value with each tensor in its dicts and lists replaced, in the same order everywhere."""
    found: Any = value
    if isinstance(found, Tensor):
        found = change(found)
    elif isinstance(found, dict):
        found = {key: _with_tensors(part, change) for key, part in found.items()}
    elif isinstance(found, list):
        found = [_with_tensors(part, change) for part in found]
    return cast(T, found)


def device_name(device: torch.device) -> str:
    """What people call a device: the GPU's model, or `CPU`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
