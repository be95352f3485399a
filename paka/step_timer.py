"""Where the time of a step goes, measured without making the host wait for the device."""

import time
from collections import defaultdict
from itertools import pairwise
from typing import Any

import torch

from paka.step_parts import PARTS


class StepTimer:
    """Adds up the time between marks, by the part of a step that ends with each.

    On a GPU a mark is an event in its stream, which is read when all has been computed anyway: so
    the time of a part is the device's, and what the host does meanwhile costs nothing.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._marks: list[tuple[str | None, Any]] = []

    def restart(self) -> None:
        """Forget what was marked before, and begin here."""
        self._marks.clear()
        self.mark()

    def mark(self, part: str | None = None) -> None:
        """Say that `part`, one of `PARTS`, has run since the last mark; None: nothing of a step."""
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append((part, event))
        else:
            self._marks.append((part, time.perf_counter()))

    def take(self, steps: int) -> dict[str, float]:
        """Mean seconds of each part in the last `steps` steps, as `seconds_<part>`.

        On a GPU, all that was marked must have been computed: call it after reading a value.
        """
        totals: dict[str, float] = defaultdict(float)
        for (_, before), (part, after) in pairwise(self._marks):
            if part is not None:
                elapsed = before.elapsed_time(after) / 1000 if self._on_gpu else after - before
                totals[part] += elapsed
        del self._marks[:-1]
        return {f"seconds_{part}": totals[part] / steps for part in PARTS if part in totals}
