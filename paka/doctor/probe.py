"""What only works, or breaks, with torch loaded: `python -m paka.doctor.probe`.

Each step prints a line of JSON when it begins and one when it has ended, so that `torch_works`
knows where a process stopped that crashed or hung.
"""

import json
from collections.abc import Callable
from typing import Any

from paka.process import leave


def torch_itself() -> dict[str, Any]:
    """Version, the CUDA or ROCm that it was built for, and its threads."""
    import torch

    total = torch.ones(64, 64).matmul(torch.ones(64, 64)).sum().item()
    if total != 64**3:
        raise ArithmeticError(f"a product of ones adds up to {total} instead of {64**3}")
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "threads": torch.get_num_threads(),
    }


def vision() -> dict[str, Any]:
    """Whether torchvision's compiled part fits torch: its operators are missing where not."""
    import torch
    import torchvision

    torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    return {"version": torchvision.__version__}


def neighbours() -> dict[str, Any]:
    """Whether faiss finds a vector among others."""
    import faiss
    import numpy as np

    index = faiss.IndexFlatL2(4)
    index.add(np.eye(4, dtype=np.float32))
    _, found = index.search(np.eye(4, dtype=np.float32)[2:3], 1)
    if found[0, 0] != 2:
        raise ArithmeticError(f"the nearest of four vectors is number {found[0, 0]} instead of 2")
    return {"version": faiss.__version__}


def gpus() -> dict[str, Any]:
    """Each GPU, after a small product on it."""
    import torch

    if not torch.cuda.is_available():
        try:
            torch.cuda.init()
        except (RuntimeError, AssertionError) as error:
            return {"devices": [], "reason": str(error).splitlines()[0]}
    return {"devices": [_gpu(number) for number in range(torch.cuda.device_count())]}


def _gpu(number: int) -> dict[str, Any]:
    import torch

    facts = torch.cuda.get_device_properties(number)
    about: dict[str, Any] = {
        "name": facts.name,
        "capability": f"{facts.major}.{facts.minor}",
        "total": facts.total_memory,
    }
    try:
        with torch.cuda.device(number):
            ones = torch.ones(64, 64, device="cuda", dtype=torch.bfloat16)
            about["works"] = bool((ones @ ones == 64).all().item())
            about["free"] = torch.cuda.mem_get_info()[0]
            about["bf16"] = torch.cuda.is_bf16_supported(including_emulation=False)
    except RuntimeError as error:
        about["error"] = str(error).splitlines()[0]
    return about


def starter() -> dict[str, Any]:
    """Features of a fixed picture: whether they are finite, and their mean size."""
    import torch

    from paka.encoder import DenseEncoder

    encoder = DenseEncoder("vit_starter_patch16_224").eval()
    picture = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    with torch.inference_mode():
        tokens, _ = encoder(picture)
    return {"finite": bool(tokens.isfinite().all()), "mean": tokens.abs().mean().item()}


STEPS: dict[str, Callable[[], dict[str, Any]]] = {
    "torch": torch_itself,
    "torchvision": vision,
    "GPUs": gpus,
    "faiss": neighbours,
    "starter": starter,
}


def main() -> None:
    """Take every step; what one raises does not keep the others from being taken."""
    for name, step in STEPS.items():
        print(json.dumps({"step": name}), flush=True)
        try:
            answer = step()
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"step": name, "answer": answer}), flush=True)


if __name__ == "__main__":
    main()
    leave(0)
