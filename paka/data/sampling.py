"""The order in which a run sees its images: one endless stream, the same however it is shared."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, images: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(images)


def locate(position: int, seed: int, images: int) -> tuple[int, int]:
    """Return (epoch, index) of a position in the stream.

    The stream is one permutation of the images after another, one for each epoch; a batch may
    span two of them, so no image is dropped and a batch may be larger than the data set.
    """
    epoch, offset = divmod(position, images)
    return epoch, int(_permutation(seed, epoch, images)[offset])


class StreamSampler(Sampler[int]):
    """Positions of one process, endlessly: of each batch the process takes one contiguous part.

    Args:
        batch_size: positions in a batch, over all processes.
        rank, world: this process, and how many there are; `batch_size` is a multiple of `world`.
        start_step: batches already done, by all runs before this one.
    """

    def __init__(self, batch_size: int, rank: int = 0, world: int = 1, start_step: int = 0) -> None:
        self.batch_size, self.start_step = batch_size, start_step
        self.part = batch_size // world
        self.offset = rank * self.part

    def __iter__(self) -> Iterator[int]:
        """Yield positions without end."""
        first = self.start_step * self.batch_size + self.offset
        while True:
            yield from range(first, first + self.part)
            first += self.batch_size
