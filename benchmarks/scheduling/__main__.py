"""Print the month's tables: `python -m benchmarks.scheduling [--seed N]`."""

import argparse

from benchmarks.scheduling.report import simulate, table

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seed", type=int, default=0, help="of the month's jobs")
print(table(simulate(parser.parse_args().seed)))
