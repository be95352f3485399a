"""Images of a batch computed side by side on the CPU: each core has some of them to itself.

Cores that share every operation wait for one another hundreds of times in a forward pass, and where
other processes want the same cores, each time for one that is not running.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")


def side_by_side(compute: Callable[[np.ndarray], T], images: np.ndarray) -> list[T]:
    """Return what `compute` makes of the images' parts, in their order.

    There is a part for each of torch's threads, or one in all where they would have to wait long
    for the one with most images.
    """
    threads = torch.get_num_threads()
    idle = -len(images) % threads
    if threads == 1 or 8 * idle > len(images):
        return [compute(images)]

    def alone(part: np.ndarray) -> T:
        torch.set_num_threads(1)  # it counts for each thread by itself
        return compute(part)

    torch.set_num_threads(1)  # the matrix library has one number for all
    try:
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(alone, np.array_split(images, threads)))
    finally:
        torch.set_num_threads(threads)
