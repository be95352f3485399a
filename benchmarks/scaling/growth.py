"""Costs by size, and the exponent with which they grow."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table
from scipy.optimize import nnls

from benchmarks.measure import Spread

_EXPONENTS = np.arange(0, 3.005, 0.01)
_FITTED = 4
"""Sizes that are fitted at least: there are three unknowns."""


class Growth(NamedTuple):
    """Costs, one for each of `costs`, at each size; `size` says of what."""

    title: str
    size: str
    costs: tuple[str, ...]
    rows: Sequence[tuple[int, tuple[Spread | float, ...]]]

    def exponents(self) -> list[float]:
        """The exponent of each cost; none for too few sizes."""
        sizes = [size for size, _ in self.rows]
        if len(sizes) < _FITTED:
            return []
        columns = zip(*(costs for _, costs in self.rows), strict=True)
        return [exponent(sizes, list(map(_median, costs))) for costs in columns]

    def table(self) -> Table:
        """For reading; the last row is the exponents."""
        made = Table(self.size, *self.costs, title=self.title)
        for size, costs in self.rows:
            made.add_row(f"{size:,}", *map(_text, costs))
        if exponents := self.exponents():
            made.add_row("exponent", *(f"{one:.2f}" for one in exponents))
        return made

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {**self._asdict(), "exponents": self.exponents()}


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return k of the best fit of c + a * size^k to the larger half of the sizes, four at least.

    Least squares of the relative error, c and a not negative; k is tried in steps of 0.01, up to 3.
    0 is that the size does not matter: the cost does not even double, and what it does may be
    chance.
    """
    number = max(len(sizes) - len(sizes) // 2, _FITTED)
    x, y = np.array(sizes[-number:], float), np.array(costs[-number:], float)
    if y[-1] < 2 * y[0]:
        return 0.0
    x /= x[-1]
    fits = [nnls(np.stack([1 / y, x**k / y], 1), np.ones(len(y)))[1] for k in _EXPONENTS]
    return float(_EXPONENTS[int(np.argmin(fits))])


def processor_ms(
    call: Callable[[], object], repeats: int, before: Callable[[], object] | None = None
) -> Spread:
    """Milliseconds that a call takes of this process's processor time, after one to warm up.

    Args:
        before: done before each call, without counting.
    """
    times = []
    for _ in range(repeats + 1):
        if before:
            before()
        start = time.process_time()
        call()
        times.append((time.process_time() - start) * 1e3)
    return Spread.of(times[1:])


def _median(cost: Spread | float) -> float:
    return cost.median if isinstance(cost, Spread) else cost


def _text(cost: Spread | float) -> str:
    return (
        str(cost) if isinstance(cost, Spread) else f"{cost:.3g}" if cost < 1000 else f"{cost:.0f}"
    )
