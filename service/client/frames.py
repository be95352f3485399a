"""Answers as pandas frames; only this module needs pandas."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from service.client.errors import MissingPackage
from service.client.schemas import Report

if TYPE_CHECKING:
    import pandas as pd


def metrics_frame(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Logged steps as a frame, by `step`; parts of nested values as columns like `loss.head`."""
    pd = _pandas()
    frame = pd.json_normalize(list(rows))
    return frame.set_index("step") if len(frame) else frame.rename_axis("step")


def results_frame(report: Report) -> "pd.DataFrame":
    """A report's results as a frame, by encoder, protocol and metric."""
    pd = _pandas()
    rows = [
        {
            **row.model_dump(include={"encoder", "protocol", "metric", "value", "low", "high"}),
            **{
                f"difference{end}": getattr(row.difference, name, None)
                for name, end in (("value", ""), ("low", "_low"), ("high", "_high"))
            },
        }
        for row in report.results
    ]
    return pd.DataFrame(rows).set_index(["encoder", "protocol", "metric"])


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingPackage(
            "this gives a pandas frame: pip install 'paka-service[client]'"
        ) from error
    return pandas
