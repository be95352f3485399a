"""What a report says: the shape of report.json.

This module imports neither torch nor timm: the HTTP service reads and shows reports with it.
"""

from datetime import datetime

from pydantic import Field

from paka.evaluation.config import EvaluationFields, Protocol
from paka.settings import Settings

FILES = {"json": "report.json", "markdown": "report.md", "html": "report.html"}


class Estimate(Settings):
    """A value and its 95 % interval over the validation images; no interval where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


class Result(Estimate):
    """One metric of one encoder, the mean over the seeds."""

    encoder: str = Field(description="Its `name` among the report's encoders.")
    protocol: Protocol
    metric: str = Field(examples=["miou"], description="What docs/evaluation.md calls it.")
    unit: str = Field(examples=["share"], description="`share` (0 to 1) or `number`.")
    per_seed: tuple[float, ...] = Field(description="One value if there is no chance in it.")
    difference: Estimate | None = Field(
        description="To the first encoder, over the same resampled images; null for the first."
    )
    per_class: tuple[float | None, ...] | None = Field(
        None, description="In the order of `classes`; null for a class that no image shows."
    )


class EncoderEntry(Settings):
    """Which encoder was measured."""

    name: str
    reference: str = Field(description="`architecture@weights`.")
    weights_sha256: str


class Part(Settings):
    """How long a part of the work took."""

    encoder: str
    part: str = Field(examples=["features", "in_context"])
    seconds: float


class Report(Settings):
    """One evaluation: what was measured, how, and what came out."""

    dataset: str = Field(description="The data set's name.")
    layout: str
    size: int = Field(description="Side of the images in pixels.")
    train_images: int
    val_images: int
    classes: tuple[str, ...]
    settings: EvaluationFields
    encoders: tuple[EncoderEntry, ...] = Field(description="The first is the base.")
    results: tuple[Result, ...]
    notes: tuple[str, ...] = Field((), description="What could not be measured, and why.")
    seconds: tuple[Part, ...]
    versions: dict[str, str]
    created_at: datetime

    def find(self, encoder: str, protocol: str, metric: str) -> Result:
        """One result.

        Raises:
            KeyError: it was not measured.
        """
        for result in self.results:
            if (result.encoder, result.protocol, result.metric) == (encoder, protocol, metric):
                return result
        raise KeyError(f"no {protocol} {metric} of {encoder} in the report")
