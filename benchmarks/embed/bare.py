"""The bare model: an encoder's forward pass on decoded pixels, and nothing else."""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from paka.data.decode import decode
from paka.data.preprocess import prepare
from paka.encoder import DenseEncoder

SIZE = 224


def read_pixels(paths: Sequence[Path]) -> torch.Tensor:
    """The images as the encoder's input, uint8 (n, 3, `SIZE`, `SIZE`)."""
    images = [prepare(decode(path), SIZE, SIZE, "crop").pixels for path in paths]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


class Bare:
    """An encoder with drawn weights; `reference` is what the service calls it."""

    def __init__(self, name: str, pixels: torch.Tensor) -> None:
        self.reference = f"{name}@random"
        self.encoder = DenseEncoder(name, "random").eval().requires_grad_(False)
        self.pixels = pixels

    @torch.inference_mode()
    def forward(self, start: int, count: int) -> None:
        """Compute the features of `count` images from number `start` on, over and over."""
        chosen = torch.arange(start, start + count) % len(self.pixels)
        self.encoder(self.encoder.normalise(self.pixels[chosen]))

    def rate(self, batch: int, seconds: float) -> float:
        """Images a second, in batches, for about so long."""
        started = time.perf_counter()
        for start in itertools.count(0, batch):
            self.forward(start, batch)
            elapsed = time.perf_counter() - started
            if elapsed > seconds:
                return (start + batch) / elapsed
        raise AssertionError("counting has no end")
