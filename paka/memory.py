"""How much memory a process has taken, and whether an error means that there was none left."""

import ctypes
import gc
import resource

import torch

from paka.config import TrainConfig

# Of errors that have no class of their own: of CUDA itself and of its libraries, of the CPU, and
# of its library oneDNN, which does not say why.
_OUT_OF_MEMORY = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator: can't allocate memory",
    "could not create a primitive",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True for what torch raises when a GPU or the CPU has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)


def release_memory() -> None:
    """Hand back what is free, but kept by Python, by torch or by the C library (glibc)."""
    gc.collect()
    torch.cuda.empty_cache()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


def what_to_lower(config: TrainConfig) -> str:
    """What helps a training that is out of memory, with the values that it has now."""
    batch, parts, views = config.optim.batch_size, config.optim.accumulate, config.views
    at_once = batch // config.runtime.processes // parts
    auto = "" if config.runtime.cuda_graphs else ", or set runtime.auto_batch"
    split = (
        f"raise optim.accumulate above {parts}{auto} (same result, less memory: {at_once} images "
        "at once now), or "
    )
    return (
        f"{split if at_once > 1 else ''}lower views.global_size ({views.global_size}), "
        f"views.local_size ({config.local_size}), views.local_crops ({views.local_crops}) or "
        f"optim.batch_size ({batch})"
    )


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory in use so far: of tensors on a GPU, of the whole process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
