"""What a model card says of the run that made an encoder, from whichever of its files are there.

A run's own folder has config.json, metrics.jsonl, skipped.jsonl, final/meta.json and perhaps
evaluation/report.json. Of a job of the service a folder may hold job.json (`GET /jobs/{id}`),
metrics.json (`GET /jobs/{id}/metrics`, further pages in metrics-2.json and so on) and report.json
(`GET /jobs/{id}/report`) instead.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from paka.config import TrainConfig
from paka.errors import ExportError
from paka.evaluation.report_schema import FILES, Report
from paka.files import read_json, read_json_lines
from paka.run_folder import RunFolder


class RunFacts(NamedTuple):
    """A run, as far as it is known; `skipped` counts images that could not be read."""

    config: TrainConfig | None = None
    metrics: Sequence[Mapping[str, Any]] = ()
    skipped: int | None = None
    images: int | None = None
    device: str | None = None
    report: Report | None = None


def read_run(folder: Path, step: int | None = None) -> RunFacts:
    """Read what is there.

    Args:
        step: that of a checkpoint, of which the run's later metrics and its report say nothing.

    Raises:
        ExportError: the folder has neither settings nor metrics, or a file cannot be used.
    """
    try:
        facts = _read(RunFolder(folder), step)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        reason = f"{place}: {first['msg']}; are they those of a training?"
        raise ExportError(f"the files of the run in {folder} cannot be used: {reason}") from None
    except (ValueError, KeyError) as error:
        raise ExportError(f"the files of the run in {folder} cannot be used: {error}") from None
    if facts.config is None and not facts.metrics:
        raise ExportError(
            f"{folder} holds no run: neither config.json nor job.json nor metrics.jsonl is there"
        )
    return facts


def _read(run: RunFolder, step: int | None) -> RunFacts:
    job = _first(run.path / "job.json") or {}
    config = _first(run.config) or job.get("config")
    meta = _first(run.final / "meta.json", run.path / "meta.json") or {}
    metrics = run.read_metrics() or _pages(run.path)
    report = _first(run.evaluation / FILES["json"], run.path / FILES["json"])
    if step is not None and step != meta.get("step"):
        metrics, report = [row for row in metrics if row["step"] <= step], None
    skipped = job["skipped"]["count"] if job.get("skipped") else None
    if run.skipped.exists():
        skipped = len(read_json_lines(run.skipped))
    return RunFacts(
        None if config is None else TrainConfig.model_validate(config),
        metrics,
        skipped,
        meta.get("images"),
        meta.get("device"),
        None if report is None else Report.model_validate(report),
    )


def _pages(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a job, which the service gives in pages.

    Raises:
        ExportError: the last page is missing.
    """
    pages = [read_json(path) for path in folder.glob("metrics*.json")]
    rows = sorted((row for page in pages for row in page["data"]), key=lambda row: row["step"])
    if pages and all(page["has_more"] for page in pages):
        raise ExportError(
            f"the metrics in {folder} end at step {rows[-1]['step']}, and there are more: fetch "
            f"/jobs/{{id}}/metrics?after_step={rows[-1]['step']} into metrics-{len(pages) + 1}.json"
        )
    return rows


def _first(*paths: Path) -> Any:
    """The content of the first file that is there; None if none is."""
    return next((read_json(path) for path in paths if path.exists()), None)
