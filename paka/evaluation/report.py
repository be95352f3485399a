"""From what was found out to a report: numbers with intervals, as JSON and as a Markdown table."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paka.evaluation import intervals
from paka.evaluation import report_schema as schema
from paka.evaluation.config import EvaluateConfig, EvaluationFields, Protocol
from paka.evaluation.datasets import LabelledImages
from paka.evaluation.scores import Finding, Score
from paka.files import replacing

VERSIONS = ("paka-service", "torch", "timm", "numpy", "faiss-cpu")
NAMES = {
    ("in_context", "miou"): "in-context mIoU",
    ("in_context", "miou_strict"): "in-context mIoU, strict",
    ("linear", "miou"): "linear mIoU",
    ("knn", "accuracy"): "k-NN accuracy",
    ("knn", "balanced_accuracy"): "k-NN balanced accuracy",
}
_CLUSTERS = {
    "miou_hungarian_": "{} clusters mIoU, Hungarian",
    "miou_many_to_one_": "{} clusters mIoU, many-to-one",
}


_UNDEFINED = "no class is shown by some of them and not by others"


class Measurement(NamedTuple):
    """What one protocol found out about one encoder under one seed."""

    encoder: str
    protocol: Protocol
    seed: int
    finding: Finding


class Row(NamedTuple):
    """One line of the table; `cells` are in the encoders' order, None for what does not apply."""

    label: str
    cells: tuple[schema.Result | None, ...]


class _Metric(NamedTuple):
    """The scores of one metric, one for each seed."""

    protocol: Protocol
    name: str
    scores: Sequence[Score]


def make_report(
    config: EvaluateConfig,
    data: LabelledImages,
    encoders: Sequence[schema.EncoderEntry],
    found: Sequence[Measurement],
    seconds: Sequence[schema.Part],
) -> schema.Report:
    """Put it all together.

    Args:
        encoders: the first is the base.
        found: of all encoders, all protocols, all seeds.
    """
    images = len(data.val.at_most(config.val_images))
    results = list(make_results([entry.name for entry in encoders], found, images))
    defined = [result for result in results if not np.isnan(result.value)]
    unknown = dict.fromkeys(label(result) for result in results if np.isnan(result.value))
    return schema.Report(
        dataset=data.name,
        layout=data.layout,
        size=config.size,
        train_images=len(data.train.at_most(config.train_images)),
        val_images=images,
        classes=data.classes,
        settings=_settings(config),
        encoders=tuple(encoders),
        results=tuple(defined),
        notes=tuple(f"{name} is not defined on these images: {_UNDEFINED}" for name in unknown),
        seconds=tuple(seconds),
        versions=_versions(),
        created_at=datetime.now(UTC),
    )


def make_results(
    encoders: Sequence[str], found: Sequence[Measurement], images: int
) -> Iterable[schema.Result]:
    """Every metric of every encoder, with intervals and paired differences to the first.

    Args:
        encoders: names, the base first.
        found: of one encoder there may be findings under several seeds, which are averaged.
        images: how many validation images the findings are about.
    """
    weights = intervals.resample_weights(images)
    base: dict[tuple[str, str], intervals.Estimate | float] = {}
    for encoder in encoders:
        for metric in _metrics([item for item in found if item.encoder == encoder]):
            yield _result(encoder, metric, weights, base)


def label(result: schema.Result) -> str:
    """What a reader calls the metric: `in-context mIoU`."""
    for prefix, name in _CLUSTERS.items():
        if result.metric.startswith(prefix):
            return name.format(result.metric.removeprefix(prefix))
    return NAMES.get((result.protocol, result.metric), result.metric.replace("_", " "))


def write_report(folder: Path, report: schema.Report) -> None:
    """Write report.json and report.md, each in one piece."""
    texts = {"json": report.model_dump_json(indent=2) + "\n", "markdown": to_markdown(report)}
    for form, text in texts.items():
        with replacing(folder / schema.FILES[form]) as aside:
            aside.write_text(text)


def to_markdown(report: schema.Report) -> str:
    """The report as a heading, a paragraph and a table: a row for each metric."""
    names = [entry.name for entry in report.encoders]
    head = ["", *names]
    lines = [
        head,
        ["---", *(["---:"] * len(names))],
        *([row.label, *map(cell, row.cells)] for row in rows(report)),
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    bold = " They are bold where zero lies outside of the interval." if len(names) > 1 else ""
    notes = "".join(f"\n{note}.\n" for note in report.notes)
    return f"# {title(report)}\n\n{summary(report)}{bold}\n\n{table}\n{notes}"


def title(report: schema.Report) -> str:
    """What the report is about, in a few words."""
    return f"Evaluation on {report.dataset}"


def summary(report: schema.Report) -> str:
    """How it was measured, and how its table is read."""
    seeds = ", ".join(map(str, report.settings.seeds))
    base = report.encoders[0].name
    others = f" Differences are to {base} on the same images." if len(report.encoders) > 1 else ""
    return (
        f"{report.train_images} training and {report.val_images} validation images at "
        f"{report.size} x {report.size} pixels, {len(report.classes)} classes, seeds {seeds}. "
        f"mIoU and accuracies in per cent; ± is half of the 95 % interval over images.{others}"
    )


def rows(report: schema.Report) -> list[Row]:
    """The results by metric."""
    by_metric: dict[tuple[str, str], dict[str, schema.Result]] = {}
    for result in report.results:
        of_encoders = by_metric.setdefault((result.protocol, result.metric), {})
        of_encoders[result.encoder] = result
    return [
        Row(
            label(next(iter(found.values()))),
            tuple(found.get(entry.name) for entry in report.encoders),
        )
        for found in by_metric.values()
    ]


def cell(result: schema.Result | None) -> str:
    """A value as `34.1 ± 1.2 (+2.8 ± 0.4)`; empty for what does not apply."""
    if result is None:
        return ""
    text = estimate(result, result.unit)
    if result.difference is None:
        return text
    change = estimate(result.difference, result.unit, signed=True)
    return f"{text} ({f'**{change}**' if is_clear(result.difference) else change})"


def estimate(value: schema.Estimate, unit: str, signed: bool = False) -> str:
    """A value with half of its interval, in per cent if it is a share."""
    scale, form = (100, ".1f") if unit == "share" else (1, ".3g")
    text = f"{value.value * scale:{'+' if signed else ''}{form}}"
    if value.low is None or value.high is None:
        return text
    return f"{text} ± {(value.high - value.low) / 2 * scale:{form}}"


def is_clear(difference: schema.Estimate) -> bool:
    """Whether the interval of a difference leaves out zero."""
    low, high = difference.low, difference.high
    return low is not None and high is not None and (low > 0 or high < 0)


def _metrics(found: Sequence[Measurement]) -> Iterable[_Metric]:
    """One encoder's findings by metric."""
    by_protocol: dict[Protocol, list[Finding]] = {}
    for item in found:
        by_protocol.setdefault(item.protocol, []).append(item.finding)
    for protocol, findings in by_protocol.items():
        for name in findings[0].scores:
            yield _Metric(protocol, name, [finding.scores[name] for finding in findings])


def _result(
    encoder: str,
    metric: _Metric,
    weights: np.ndarray,
    base: dict[tuple[str, str], intervals.Estimate | float],
) -> schema.Result:
    """One metric of one encoder; that of the first encoder is put into `base`."""
    per_seed = tuple(score.total() for score in metric.scores)
    value = float(np.mean(per_seed))
    resampled = [score.values(weights) for score in metric.scores]
    known = [values for values in resampled if values is not None]
    mine = intervals.Estimate(value, per_seed, np.mean(known, axis=0)) if known else value
    first = (metric.protocol, metric.name) not in base
    other = base.setdefault((metric.protocol, metric.name), mine)
    return schema.Result(
        encoder=encoder,
        protocol=metric.protocol,
        metric=metric.name,
        unit=metric.scores[0].unit,
        per_seed=per_seed,
        difference=None if first else _difference(mine, other),
        per_class=_per_class(metric.scores),
        **_interval(mine),
    )


def _interval(mine: intervals.Estimate | float) -> Mapping[str, float]:
    if isinstance(mine, float):
        return {"value": mine}
    return intervals.interval(mine)._asdict()


def _difference(
    mine: intervals.Estimate | float, other: intervals.Estimate | float
) -> schema.Estimate:
    if isinstance(mine, float) or isinstance(other, float):
        assert isinstance(mine, float) and isinstance(other, float)  # of one metric
        return schema.Estimate(value=mine - other)
    return schema.Estimate(**intervals.difference(mine, other)._asdict())


def _per_class(scores: Sequence[Score]) -> tuple[float | None, ...] | None:
    each = [score.per_class() for score in scores]
    known = [values for values in each if values is not None]
    if not known:
        return None
    mean = np.mean(known, axis=0)  # NaN under one seed is NaN under all: the images are the same
    return tuple(None if np.isnan(value) else float(value) for value in mean)


def _settings(config: EvaluateConfig) -> EvaluationFields:
    names = EvaluationFields.model_fields
    return EvaluationFields.model_construct(**{name: getattr(config, name) for name in names})


def _versions() -> dict[str, str]:
    return {name: version(name) for name in VERSIONS}
