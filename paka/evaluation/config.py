"""All settings of an evaluation: which encoders, on which labelled images, by which protocols.

This module imports neither torch nor timm: the HTTP service checks requests with it.
"""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from paka.architectures import MAX_SIZE
from paka.settings import EncoderConfig, Settings, misfit

Items = TypeVar("Items", bound=tuple[object, ...] | None)
Protocol = Literal["in_context", "linear", "overclustering", "knn", "probes"]
Layout = Literal[
    "auto", "plain", "voc", "voc-aug", "ade20k", "coco-stuff", "coco-things", "cityscapes"
]
PROTOCOLS: tuple[Protocol, ...] = ("in_context", "linear", "overclustering", "knn", "probes")


def _distinct(items: Items) -> Items:
    if items is not None and len(set(items)) < len(items):
        raise ValueError(f"must not name anything twice, got {list(items)}")
    return items


class InContextConfig(Settings):
    """Segmentation by the nearest labelled patches (Hummingbird, arXiv 2306.01667)."""

    k: int = Field(30, ge=1, le=1000, description="Neighbours of a patch.")
    temperature: float = Field(0.02, gt=0, le=10, description="Of the attention over neighbours.")
    memory: int | None = Field(
        None,
        ge=1,
        le=100_000_000,
        description="Labelled patches in the memory at most, drawn anew for each seed; null: all.",
    )


class LinearConfig(Settings):
    """Segmentation by one linear layer on frozen patch features."""

    epochs: int = Field(20, ge=1, le=1000, description="Passes over the training patches.")
    lr: float = Field(1e-2, gt=0, le=10, description="Learning rate at the start.")


class OverclusteringConfig(Settings):
    """Segmentation by K-means clusters of patch features, matched to the classes."""

    clusters: (
        Annotated[tuple[Annotated[int, Field(ge=2, le=2000)], ...], AfterValidator(_distinct)]
        | None
    ) = Field(
        None,
        min_length=1,
        max_length=8,
        description="Numbers of clusters; null: as many as there are classes, 300 and 500.",
    )


class KnnConfig(Settings):
    """Classification of whole images by their nearest neighbours (Wu et al., arXiv 1805.01978)."""

    k: int = Field(20, ge=1, le=1000, description="Neighbours of an image.")


class EvaluationFields(Settings):
    """What is measured, on which images; whose features is said elsewhere."""

    dataset: str = Field(
        min_length=1,
        description="Folder of a labelled data set: images and masks in the layout of VOC 2012, "
        "ADE20K, COCO-Stuff or Cityscapes, or plainly in images/{train,val} and masks/{train,val}.",
        examples=["/data/camvid"],
    )
    layout: Layout = Field("auto", description="How the folder is laid out; auto: recognised.")
    protocols: Annotated[tuple[Protocol, ...], AfterValidator(_distinct)] = Field(
        PROTOCOLS, min_length=1, description="What to measure."
    )
    size: int = Field(
        224,
        ge=16,
        le=MAX_SIZE,
        description="Side in pixels to which images and masks are resized, whatever their shape; "
        "a multiple of each encoder's patch size.",
    )
    train_images: int | None = Field(
        None, ge=1, description="Labelled images to learn from at most, evenly spaced; null: all."
    )
    val_images: int | None = Field(
        None, ge=1, description="Images to measure on at most, evenly spaced; null: all."
    )
    in_context: InContextConfig = Field(default_factory=InContextConfig.model_construct)
    linear: LinearConfig = Field(default_factory=LinearConfig.model_construct)
    overclustering: OverclusteringConfig = Field(
        default_factory=OverclusteringConfig.model_construct
    )
    knn: KnnConfig = Field(default_factory=KnnConfig.model_construct)
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=2**31)], ...], AfterValidator(_distinct)
    ] = Field(
        (0, 1, 2),
        min_length=1,
        max_length=16,
        description="Each protocol with chance in it is repeated for each seed, and averaged.",
    )


class TrainEvaluation(EvaluationFields):
    """An evaluation that follows a training: the encoder it began with, and its result."""


class EvaluationRuntime(Settings):
    """Where and how features are extracted; none of it changes what is measured."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU if there.")
    batch_size: int = Field(32, ge=1, le=1024, description="Images at once.")
    workers: int = Field(2, ge=0, le=128, description="Image loading processes.")


class EvaluateConfig(EvaluationFields):
    """One evaluation, complete: what `paka evaluate` and `POST /evaluate` both check."""

    encoders: tuple[EncoderConfig, ...] = Field(
        min_length=1,
        max_length=16,
        description="The encoders to compare; the first is the base that the others are held "
        "against.",
        examples=[["vit_small_patch14_reg4_dinov2.lvd142m"]],
    )
    names: tuple[str, ...] | None = Field(
        None,
        description="What the report calls each encoder; null: names made of their references.",
    )
    runtime: EvaluationRuntime = Field(default_factory=EvaluationRuntime.model_construct)
    cache: str | None = Field(
        None,
        min_length=1,
        description="Folder of extracted features that evaluations may share; null: in the run's "
        "own folder.",
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        for encoder in self.encoders:
            try:
                encoder.facts.check_size(self.size, self.size)
            except ValueError as error:
                raise misfit("size", error) from None
        return self

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        references = [encoder.reference for encoder in self.encoders]
        if len(set(references)) < len(references):
            raise misfit("encoders", f"must not name an encoder twice, got {references}")
        if self.names is None:
            return self
        if len(self.names) != len(references) or len(set(self.names)) < len(references):
            problem = f"must be {len(references)} different names, got {list(self.names)}"
            raise misfit("names", problem)
        return self

    @property
    def encoder_names(self) -> tuple[str, ...]:
        """What the report calls each encoder: no two are alike."""
        if self.names is not None:
            return self.names
        short = tuple(short_name(encoder) for encoder in self.encoders)
        if len(set(short)) == len(short):
            return short
        return tuple(encoder.reference for encoder in self.encoders)


def short_name(encoder: EncoderConfig) -> str:
    """A name fit for a table: of a run's result the run's folder, else the reference's core."""
    if encoder.weights == "pretrained" or "/" not in encoder.weights:
        return encoder.reference
    path = Path(encoder.weights)
    if path.name != "encoder.safetensors":
        return path.stem
    folder = path.parent
    if folder.parent.name == "checkpoints":
        return f"{folder.parent.parent.name} {folder.name}"
    return folder.parent.name if folder.name == "final" else folder.name
