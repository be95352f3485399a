"""Time and memory as work grows: images, jobs, pixels, batches, crops, patches, processes.

    python -m benchmarks.scaling IMAGES [--only queue …] [--repeats 3] [--json FILE]

Times are medians with quartiles, most of them of the processor, which other work on the machine
disturbs least. The last row of each table is the exponent k of c + a * size^k, fitted to the larger
half of the sizes (four at least) by least squares of the relative error. 1 is linear; 0 is a cost
that does not even double.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measure import parser, show
from benchmarks.scaling import folders, photographs, processes, queue, training
from benchmarks.scaling.growth import Growth

PARTS: dict[str, Callable[[Path, int], Iterator[Growth]]] = {
    "folders": folders.growths,
    "queue": queue.growths,
    "photographs": photographs.growths,
    "batch": training.batches,
    "crops": training.crops,
    "patches": training.patches,
    "processes": processes.growths,
}


def options() -> argparse.Namespace:
    """What the user has asked for."""
    made = parser(str(__doc__), repeats=3)
    made.add_argument("images", metavar="IMAGES", type=Path, help="folder of images")
    made.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    return made.parse_args()


def main() -> None:
    """Measure, print the tables and, on request, write the figures."""
    given = options()
    growths = [one for part in given.only for one in PARTS[part](given.images, given.repeats)]
    show([one.table() for one in growths], {"growths": [g.figures() for g in growths]}, given)


if __name__ == "__main__":
    main()
