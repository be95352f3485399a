"""Our patch kernel alignment loss against lightly's: time and peak memory, forward + backward.

    python -m benchmarks.loss [--repeats 15] [--json FILE]

Both get the same float32 input with about 90 % of the patches valid. lightly's `max_tokens` is
left None, so that it too computes on all N patches; its own cap of tokens would change the value.

Time: the two are called in turn, `--repeats` times each after one warm-up; median, and quartiles.
Memory: each loss in a fresh process, warmed up on a small input; the kernel's own count of the
process's highest resident size (VmHWM, Linux), reset before the step, less the resident size then.
It holds all that the step allocates, scratch space of the matrix library and gradient included.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import lightly.loss
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.machine import describe
from paka.losses import PatchKernelAlignmentLoss

SHAPES = ((64, 49, 256), (64, 196, 256), (16, 1369, 256), (16, 1369, 384))
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


class Spread(NamedTuple):
    """Quartiles of one loss's times, in milliseconds."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.low:.1f} to {self.high:.1f})"


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
    times: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(repeats):
        for name, loss in losses().items():
            start = time.perf_counter()
            step(loss, *data)
            times[name].append((time.perf_counter() - start) * 1e3)
    spreads = {name: Spread(*statistics.quantiles(t, n=4)) for name, t in times.items()}
    return spreads, abs(values["ours"] - values["lightly"])


def peak_memory(name: str, shape: tuple[int, int, int]) -> float:
    """Return the step's peak above the resident size before it, in MiB; for a fresh process."""
    loss = losses()[name]
    step(loss, *inputs(2, 16, 8))
    data = inputs(*shape)
    Path("/proc/self/clear_refs").write_text("5")  # sets the highest size to the present one
    before = _resident_mib("VmRSS")
    step(loss, *data)
    return _resident_mib("VmHWM") - before


def _resident_mib(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}; this measurement needs Linux")


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
    parser = argparse.ArgumentParser(description="Time and memory of the loss against lightly's.")
    parser.add_argument("--repeats", type=int, default=15, help="timed calls of each, at least 2")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.repeats < 2:
        parser.error(f"--repeats must be at least 2, got {options.repeats}")
    machine = describe()
    console = Console()
    console.print(f"{machine}\n{options.repeats} repeats; median (quartiles); ratios of medians")
    rows = [measure(shape, options.repeats) for shape in SHAPES]
    console.print(table(rows))
    if options.json:
        figures: dict[str, Any] = {
            "machine": machine._asdict(),
            "repeats": options.repeats,
            "rows": [row._asdict() for row in rows],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
