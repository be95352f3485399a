"""Exact search for the nearest vectors by inner product, with products of matrices.

On a CPU, too: there FAISS's flat index, whose library of matrices is another than torch's, takes
three times as long (`benchmarks.evaluate`, *search*).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

SCORES = 2**28  # at most so many inner products at a time: 1 GiB
Search = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def unit_vectors(features: np.ndarray, device: torch.device) -> Tensor:
    """Return features (..., D) as float32 (m, D) of length one on the device."""
    rows = torch.from_numpy(np.array(features, np.float32).reshape(-1, features.shape[-1]))
    return normalize(rows.to(device), dim=-1)


def nearest(memory: Tensor, scores: int = SCORES) -> Search:
    """Return the search among the vectors of a memory.

    The search takes queries (q, D) on the memory's device and k, and returns the k largest inner
    products (q, k), in falling order, and the rows of the memory (q, k) that they belong to. Where
    the memory holds fewer than k vectors, all of them come back.

    Args:
        memory: float32 (m, D).
        scores: how many inner products to hold at a time.

    Raises:
        ValueError: an empty memory.
    """
    if not len(memory):
        raise ValueError("the memory holds no vector: no training patch has a label")
    chunk = max(1, scores // len(memory))

    def search(queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        k = min(k, len(memory))
        found = [(part @ memory.T).topk(k) for part in queries.split(chunk)]
        return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])

    return search
