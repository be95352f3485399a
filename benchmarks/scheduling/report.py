"""The month in figures: waiting time by user, utilisation, fairness."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from benchmarks.scheduling.account import jain
from benchmarks.scheduling.lab import Lab, Outcome, Policy, fifo, first_fit, ours
from benchmarks.scheduling.month import DAY, DAYS, GPUS, HOUR, submissions

POLICIES: dict[str, Policy] = {"ours": ours, "fifo": fifo, "first fit": first_fit}


class Figures(NamedTuple):
    """What is said of a policy; times in hours, shares between 0 and 1.

    `busy`: GPUs in use while somebody waits. `by_demand` and `by_share`: Jain's index, over users,
    of what they got by what they asked for, and by what equal shares would have given, while
    somebody waits. `longest_dry`: the longest that any user had jobs waiting and none running.
    """

    mean: float
    p95: float
    longest: float
    longest_dry: float
    utilisation: float
    busy: float
    by_demand: float
    by_share: float
    preemptions: int


def simulate(seed: int) -> dict[str, Outcome]:
    """The same month under each policy."""
    jobs = submissions(seed)
    return {name: Lab(jobs, policy).run() for name, policy in POLICIES.items()}


def figures(outcome: Outcome) -> Figures:
    """Sum up a month."""
    waits = sorted(served.waited / HOUR for served in outcome.served)
    account = outcome.account
    return Figures(
        fmean(waits),
        percentile(waits, 0.95),
        waits[-1],
        max(account.longest_dry.values()) / HOUR,
        account.busy / (GPUS * DAYS * DAY),
        account.busy_contended / (GPUS * account.contended),
        jain([account.got[user] / wanted for user, wanted in account.wanted.items()]),
        jain([account.got[user] / fair for user, fair in account.fair.items()]),
        outcome.preemptions,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the sorted values do not exceed."""
    return values[min(int(share * len(values)), len(values) - 1)]


def table(outcomes: dict[str, Outcome]) -> str:
    """Both tables, in Markdown."""
    lines = ["| | " + " | ".join(outcomes) + " |", "| --- |" + " ---: |" * len(outcomes)]
    all_figures = {name: figures(outcome) for name, outcome in outcomes.items()}
    for field in Figures._fields:
        values = (getattr(each, field) for each in all_figures.values())
        shown = " | ".join(str(v) if isinstance(v, int) else f"{v:.3g}" for v in values)
        lines.append(f"| {field.replace('_', ' ')} | {shown} |")
    return "\n".join([*lines, "", *_by_user(outcomes)])


def _by_user(outcomes: dict[str, Outcome]) -> list[str]:
    """Mean, 95th percentile and maximum of each user's waiting times in hours."""
    lines = ["| user | jobs | GPU-hours | " + " | ".join(outcomes) + " |"]
    lines.append("| --- | ---: | ---: |" + " ---: |" * len(outcomes))
    first = next(iter(outcomes.values())).served
    for user in sorted({served.job.user for served in first}):
        mine = [served.job for served in first if served.job.user == user]
        cells = [f"{len(mine)}", f"{sum(job.slots * job.seconds for job in mine) / HOUR:.0f}"]
        for outcome in outcomes.values():
            waits = sorted(s.waited / HOUR for s in outcome.served if s.job.user == user)
            p95 = percentile(waits, 0.95)
            cells.append(f"{fmean(waits):.1f} / {p95:.1f} / {waits[-1]:.1f}")
        lines.append(f"| {user} | {' | '.join(cells)} |")
    return lines
