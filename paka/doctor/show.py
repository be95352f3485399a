"""Findings for people, and for programs."""

import json
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version

from rich.console import Console
from rich.table import Table
from rich.text import Text

from paka.doctor.finding import Finding, Level

_MARKS = {
    Level.OK: ("ok", "green"),
    Level.WARNING: ("warning", "yellow"),
    Level.PROBLEM: ("PROBLEM", "bold red"),
    Level.NOT_APPLICABLE: ("n/a", "dim"),
}


def show(console: Console, title: str, findings: Iterable[Finding]) -> None:
    """Print a topic: a mark, what was looked at, what was found, and below it the remedy."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=7)
    table.add_column(min_width=15)
    table.add_column(overflow="fold")
    for finding in findings:
        mark, style = _MARKS[finding.level]
        table.add_row(Text(mark, style), Text(finding.check), Text(finding.found))
        if finding.remedy:
            table.add_row("", "", Text(f"-> {finding.remedy}"))
    console.print(Text(title, "bold"))
    console.print(table)
    console.print()


def summary(findings: Iterable[Finding]) -> str:
    """How many problems and warnings there are."""
    count = Counter(finding.level for finding in findings)
    parts = [_plural(count[level], level) for level in (Level.PROBLEM, Level.WARNING)]
    return ", ".join(parts)


def as_json(topics: Iterable[tuple[str, list[Finding]]]) -> str:
    """All findings as one JSON object."""
    rows = [
        {"topic": title, **finding._asdict()} for title, findings in topics for finding in findings
    ]
    count = Counter(row["level"] for row in rows)
    return json.dumps(
        {
            "version": version("paka-service"),
            "problems": count[Level.PROBLEM],
            "warnings": count[Level.WARNING],
            "findings": rows,
        },
        indent=2,
    )


def _plural(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
