"""The two bodies of `POST /embed`, and its JSON answer."""

import base64
import binascii
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from paka.choices import FeatureFormat
from paka.options import FeatureOptions
from service.encoders.schemas import ENCODER_EXAMPLE
from service.jobs.schemas import JobName, JobPriority, JobSlots, JobVisibility

# A photograph of one pixel, so that the examples can be sent as they are.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mOoWBAFAAMGAXOXWRkoAAAAAElFTkSuQmCC"
)


def _from_base64(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None


Base64 = Annotated[
    bytes,
    BeforeValidator(_from_base64, json_schema_input_type=str),
    Field(json_schema_extra={"type": "string", "contentEncoding": "base64"}),
]


class EmbedFields(FeatureOptions):
    """Which encoder, and which features."""

    encoder: str = Field(
        "vit_small_patch14_reg4_dinov2.lvd142m",
        min_length=1,
        max_length=1200,
        description="Id of a post-trained encoder (`enc_…`), or `name`, `name@random`, "
        "`name@path` with a path in the data roots.",
        examples=[ENCODER_EXAMPLE["id"]],
    )

    @property
    def options(self) -> FeatureOptions:
        """The part that the worker's encoder is given."""
        return FeatureOptions.model_validate(
            self.model_dump(include=set(FeatureOptions.model_fields))
        )


class EmbedForm(EmbedFields):
    """A multipart body: the images as files, everything else as text."""

    images: list[bytes] = Field(min_length=1, description="Image files, one part for each.")
    # In a form, one value looks like a list of one, and no value like an empty list.
    layers: Any = Field(
        None,
        description="As in JSON; one part for each, or one part with commas.",
        json_schema_extra={
            "anyOf": [
                {"type": "integer"},
                {"type": "array", "items": {"type": "integer"}, "maxItems": 64},
            ]
        },
    )


class EmbedBody(EmbedFields):
    """A JSON body: images, answered at once; or a data set, which becomes a job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"encoder": "vit_starter_patch16_224", "size": 224, "images": [PIXEL]},
                {"encoder": ENCODER_EXAMPLE["id"], "size": 448, "dataset": "/data/photos"},
            ]
        }
    )

    images: list[Base64] | None = Field(None, min_length=1, description="Image files in base64.")
    dataset: str | None = Field(
        None,
        min_length=1,
        description="Data set in the data roots, for a job: a folder of "
        "images, a .tar, .zip or folder of such shards, or what `save_to_disk` has made.",
        examples=["/data/photos"],
    )
    format: FeatureFormat = Field(
        "safetensors",
        description="Format of the files; `zarr`: each a .zip that Zarr 3 opens (job only).",
    )
    batch_size: int = Field(32, ge=1, le=1024, description="Images at once (job only).")
    workers: int = Field(2, ge=0, le=128, description="Image loading processes (job only).")
    name: JobName | None = Field(None, description="Name of the job.")
    visibility: JobVisibility = "lab"
    priority: JobPriority = "normal"
    slots: JobSlots | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.images is None) == (self.dataset is None):
            raise ValueError("give either images or a dataset")
        return self


class Array(BaseModel):
    """An array; in Python: `np.frombuffer(base64.b64decode(data), dtype).reshape(shape)`."""

    shape: list[int]
    dtype: str = Field(description="Name in NumPy; little-endian, rows first.")
    data: str = Field(description="Base64 of the raw numbers.")


class ImageFeatures(BaseModel):
    """One image's features."""

    patch_tokens: Array = Field(description="(h, w, D).")
    image_features: Array = Field(description="(D).")
    box: tuple[float, float, float, float] = Field(
        description="The part of the image that the grid covers: (x0, y0, x1, y1) in its pixels."
    )
    original_size: tuple[int, int] = Field(description="(width, height) in pixels.")


class EmbedAnswer(BaseModel):
    """Dense features as JSON."""

    geometry: dict[str, Any] = Field(
        description="Encoder and its sha256, patch size, grid (h, w), input size, and all options."
    )
    images: list[ImageFeatures] = Field(description="In the order of the request.")
