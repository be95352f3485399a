"""An evaluation's report on the terminal."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from paka.evaluation.report_schema import Report, Result


def show_report(folder: Path) -> None:
    """Print the table of the report in a run folder, and where its page is."""
    from rich.console import Console

    from paka.evaluation.report import summary, to_markdown
    from paka.evaluation.report_schema import FILES, Report

    report = Report.model_validate_json((folder / FILES["json"]).read_text())
    if sys.stdout.isatty():
        console = Console(highlight=False)
        console.print(make_table(report))
        for line in (summary(report), *report.notes):
            console.print(line, markup=False, style="dim")
    else:
        typer.echo(to_markdown(report))
    typer.echo(f"report  {folder / FILES['html']}")


def make_table(report: "Report") -> "Table":
    """A row for each metric, a column for each encoder; clear differences are green or red."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from paka.evaluation import report as words

    table = Table(box=box.SIMPLE_HEAD, title=words.title(report), title_justify="left")
    table.add_column()
    for entry in report.encoders:
        table.add_column(Text(entry.name), justify="right", overflow="fold")
    for row in words.rows(report):
        table.add_row(Text(row.label), *map(_cell, row.cells))
    return table


def _cell(result: "Result | None") -> "Text":
    from rich.text import Text

    from paka.evaluation import report as words

    if result is None:
        return Text()
    cell = Text(words.estimate(result, result.unit))
    if result.difference is not None:
        clear = words.is_clear(result.difference)
        style = ("green" if result.difference.value > 0 else "red") if clear else "dim"
        cell.append("\n" + words.estimate(result.difference, result.unit, signed=True), style)
    return cell
