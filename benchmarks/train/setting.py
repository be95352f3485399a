"""What both sides are given; without anything that only one side's environment has."""

from typing import NamedTuple


class Setting(NamedTuple):
    """One short training. `steps` are measured, after `warm_up` of them that are not."""

    images: str
    batch_size: int = 8
    global_size: int = 224
    local_size: int = 98
    local_crops: int = 5
    steps: int = 4
    warm_up: int = 1
    threads: int = 2

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.warm_up + self.steps
