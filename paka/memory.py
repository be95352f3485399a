"""How much memory a process has taken, and whether an error means that there was none left."""

import resource

import torch


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory in use so far: of tensors on a GPU, of the whole process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
