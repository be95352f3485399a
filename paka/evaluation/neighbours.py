"""Exact search for the nearest vectors by inner product: FAISS on a CPU, matrix products on a GPU.

Both give the same neighbours but for ties; which is faster depends on the device alone.
"""

from collections.abc import Callable

import faiss
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

SCORES = 2**28  # at most so many inner products at a time on a GPU: 1 GiB
Search = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def unit_vectors(features: np.ndarray, device: torch.device) -> Tensor:
    """Return features (..., D) as float32 (m, D) of length one on the device."""
    rows = torch.from_numpy(np.array(features, np.float32).reshape(-1, features.shape[-1]))
    return normalize(rows.to(device), dim=-1)


def nearest(memory: Tensor) -> Search:
    """Return the search that fits the memory's device.

    The search takes queries (q, D) on that device and k, and returns the k largest inner products
    (q, k), in falling order, and the rows of the memory (q, k) that they belong to. Where the
    memory holds fewer than k vectors, all of them come back.

    Args:
        memory: float32 (m, D).

    Raises:
        ValueError: an empty memory.
    """
    if not len(memory):
        raise ValueError("the memory holds no vector: no training patch has a label")
    return by_faiss(memory) if memory.device.type == "cpu" else by_matrix(memory)


def by_faiss(memory: Tensor) -> Search:
    """Search with FAISS's flat index, on as many threads as OpenMP may use (OMP_NUM_THREADS)."""
    index = faiss.IndexFlatIP(memory.shape[1])
    index.add(memory.numpy())

    def search(queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        similarities, rows = index.search(queries.numpy(), min(k, len(memory)))
        return torch.from_numpy(similarities), torch.from_numpy(rows)

    return search


def by_matrix(memory: Tensor, scores: int = SCORES) -> Search:
    """Search with products of matrices.

    Args:
        scores: how many inner products to hold at a time.
    """
    chunk = max(1, scores // len(memory))

    def search(queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        k = min(k, len(memory))
        found = [(part @ memory.T).topk(k) for part in queries.split(chunk)]
        return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])

    return search
