"""Tables of the results in Markdown, put between the marks of docs/results.md."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from paka.evaluation.config import Protocol
from paka.evaluation.report import cell, label
from paka.evaluation.report_schema import Result
from paka.files import replacing

Rows = Sequence[Sequence[str]]


def table(head: Sequence[str], rows: Rows) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *(["---:"] * (len(head) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def by_metric(results: Iterable[Result], names: Sequence[str]) -> str:
    """A row for each metric, a column for each encoder in `names`."""
    metrics: dict[tuple[str, str], dict[str, Result]] = {}
    for result in results:
        metrics.setdefault((result.protocol, result.metric), {})[result.encoder] = result
    rows = [
        [label(next(iter(found.values()))), *(cell(found.get(name)) for name in names)]
        for found in metrics.values()
    ]
    return table(["", *names], rows)


def by_encoder(
    results: Iterable[Result], names: Sequence[str], metrics: Sequence[tuple[Protocol, str]]
) -> str:
    """A row for each encoder, a column for each of `metrics` (protocol, metric)."""
    found = {(one.encoder, one.protocol, one.metric): one for one in results}
    columns = [next(r for k, r in found.items() if k[1:] == metric) for metric in metrics]
    rows = []
    for name in names:
        cells = [found.get((name, *metric)) for metric in metrics]
        rows.append([name, *map(cell, cells), over_seeds(cells[0])])
    return table(["", *map(label, columns), "each training seed"], rows)


def over_seeds(result: Result | None) -> str:
    """The values under each seed, in per cent; empty where there is only one."""
    if result is None or len(result.per_seed) < 2:
        return ""
    values = 100 * np.array(result.per_seed)
    return ", ".join(f"{value:.1f}" for value in values)


def put(document: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: the document has no such marks.
    """
    before = document.read_text()
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.S)
    if not pattern.search(before):
        raise ValueError(f"{document} has no marks <!-- {name} --> and <!-- /{name} -->")
    with replacing(document) as aside:
        aside.write_text(pattern.sub(lambda m: f"{m[1]}{text}\n{m[2]}", before))
