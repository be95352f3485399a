"""Values that change over a run, as pure functions of the step."""

import math


def cosine(start: float, end: float, step: int, total: int) -> float:
    """Half a cosine from `start` at step 0 to `end` at the last step, `total - 1`."""
    share = min(step / max(total - 1, 1), 1.0)
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def cosine_with_warmup(peak: float, step: int, total: int, warmup: int) -> float:
    """Rise linearly to `peak` over `warmup` steps, then fall along a cosine to 0."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return cosine(peak, 0.0, step - warmup, total - warmup)
