"""Our patch kernel alignment loss against lightly's: time and peak memory, forward + backward.

    python -m benchmarks.loss [--repeats 15] [--json FILE]

Both get the same float32 input with about 90 % of the patches valid. lightly's `max_tokens` is
left None, so that it too computes on all N patches; its own cap of tokens would change the value.

Time: the two are called in turn, `--repeats` times each after one warm-up; median, and quartiles.
Memory: each loss in a fresh process, warmed up on a small input; the kernel's own count of the
process's highest resident size (VmHWM, Linux), reset before the step, less the resident size then.
It holds all that the step allocates, scratch space of the matrix library and gradient included.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import lightly.loss
import torch
from rich.table import Table
from torch import Tensor

from benchmarks.measure import Spread, in_turn, parser, show
from benchmarks.memory import forget_peak, resident_mib
from paka.losses import PatchKernelAlignmentLoss

SHAPES = ((64, 49, 256), (64, 196, 256), (16, 1369, 256), (16, 1369, 384))
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


class Row(NamedTuple):
    """The result for one shape; memory in MiB; ratios are lightly's figure over ours."""

    shape: tuple[int, int, int]
    ours_ms: Spread
    lightly_ms: Spread
    times_faster: float
    ours_mib: float
    lightly_mib: float
    times_smaller: float
    difference: float


def losses() -> dict[str, Loss]:
    """Both losses with one signature: student, teacher, valid."""
    peer = lightly.loss.PatchKernelAlignmentLoss(max_tokens=None)
    return {
        "ours": PatchKernelAlignmentLoss(),
        "lightly": lambda student, teacher, valid: peer(student, teacher, mask=~valid),
    }


def inputs(b: int, n: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    """Related student and teacher features (b, n, d), and which patches are valid (b, n)."""
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(b, n, d, generator=generator)
    student = torch.randn(b, n, d, generator=generator).add_(teacher).requires_grad_()
    return student, teacher, torch.rand(b, n, generator=generator) < 0.9


def step(loss: Loss, student: Tensor, teacher: Tensor, valid: Tensor) -> float:
    """Forward and backward once; return the loss."""
    student.grad = None
    value = loss(student, teacher, valid)
    torch.autograd.backward(value)
    return value.item()


def measure_time(shape: tuple[int, int, int], repeats: int) -> tuple[dict[str, Spread], float]:
    """Return each loss's quartiles and the difference between their values."""
    data = inputs(*shape)
    values = {name: step(loss, *data) for name, loss in losses().items()}
    calls = {name: partial(step, loss, *data) for name, loss in losses().items()}
    times = in_turn(calls, repeats, warm_up=0)
    spreads = {name: Spread.of([t * 1e3 for t in taken]) for name, taken in times.items()}
    return spreads, abs(values["ours"] - values["lightly"])


def peak_memory(name: str, shape: tuple[int, int, int]) -> float:
    """Return the step's peak above the resident size before it, in MiB; for a fresh process."""
    loss = losses()[name]
    step(loss, *inputs(2, 16, 8))
    data = inputs(*shape)
    forget_peak()
    before = resident_mib("VmRSS")
    step(loss, *data)
    return resident_mib("VmHWM") - before


def measure(shape: tuple[int, int, int], repeats: int) -> Row:
    """Measure both losses at one shape."""
    memory = {}
    for name in losses():
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as fresh:
            memory[name] = fresh.submit(peak_memory, name, shape).result()
    spreads, difference = measure_time(shape, repeats)
    ours, theirs = spreads["ours"], spreads["lightly"]
    return Row(
        shape,
        ours,
        theirs,
        theirs.median / ours.median,
        memory["ours"],
        memory["lightly"],
        memory["lightly"] / memory["ours"],
        difference,
    )


def table(rows: list[Row]) -> Table:
    """Lay the rows out for reading."""
    result = Table("B x N x D", "ours, ms", "lightly, ms", "faster", "ours, MiB")
    for heading in ("lightly, MiB", "smaller", "difference"):
        result.add_column(heading)
    for row in rows:
        result.add_row(
            " x ".join(map(str, row.shape)),
            str(row.ours_ms),
            str(row.lightly_ms),
            f"{row.times_faster:.1f} x",
            f"{row.ours_mib:.0f}",
            f"{row.lightly_mib:.0f}",
            f"{row.times_smaller:.1f} x",
            f"{row.difference:.0e}",
        )
    return result


def main() -> None:
    """Measure every shape, print the table and, on request, write the figures."""
    options = parser(str(__doc__), repeats=15).parse_args()
    rows = [measure(shape, options.repeats) for shape in SHAPES]
    show([table(rows)], {"rows": [row._asdict() for row in rows]}, options)


if __name__ == "__main__":
    main()
