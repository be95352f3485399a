"""Encoders kept in memory between embedding requests."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from paka.encoder import DenseEncoder
from paka.weights import weights_sha256


def limit_memory(limit: int) -> None:
    """Let this process take `limit` bytes of its GPU at most; 0 or no GPU: no limit."""
    if limit and torch.cuda.is_available():
        _, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(min(limit / total, 1.0))


class WarmEncoder(NamedTuple):
    """An encoder in eval mode on its device, and the sha256 of its weights."""

    encoder: DenseEncoder
    sha256: str


class WarmEncoders:
    """The last few encoders that were used; the one not used for longest leaves first.

    `loaded` counts how often one was loaded, `len()` how many are held.

    Args:
        find: brings weights to this host and returns their path; asked when they are loaded.
    """

    def __init__(self, limit: int, find: Callable[[str], str] = str) -> None:
        self.limit, self.find = limit, find
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.loaded = 0
        self._held: OrderedDict[tuple[str, str, int], WarmEncoder] = OrderedDict()

    def get(self, architecture: str, weights: str) -> WarmEncoder:
        """Return the encoder, loading it if it is not held; a changed weights file is read anew.

        Raises:
            EncoderError: unknown architecture, or weights that cannot be had or do not fit.
            service.store.bucket.BucketError: the object storage that has them is away.
        """
        path = Path(weights)
        version = path.stat().st_mtime_ns if path.is_file() else 0
        key = (architecture, weights, version)
        if key not in self._held:
            weights = self.find(weights)
            path = Path(weights)
            encoder = DenseEncoder(architecture, weights).eval().requires_grad_(False)
            sha256 = weights_sha256(path if path.suffix == ".safetensors" else encoder.vit)
            while len(self._held) >= self.limit:
                self._held.popitem(last=False)
            self._held[key] = WarmEncoder(encoder.to(self.device), sha256)
            self.loaded += 1
        self._held.move_to_end(key)
        return self._held[key]

    def __len__(self) -> int:
        return len(self._held)
