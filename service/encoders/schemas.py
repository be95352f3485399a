"""Encoders as the API shows them, and the ways in which a request may name one."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from paka.architectures import Architecture
from paka.config import EncoderConfig
from service.store.models import Encoder, Visibility

ENCODER_ID = re.compile(r"enc_[0-9a-hjkmnp-tv-z]{26}")
EncoderKind = Literal["post-trained", "base"]

ENCODER_EXAMPLE: dict[str, Any] = {
    "id": "enc_01k9zqa7m2r5t8w1y4b6d9f0hk",
    "kind": "post-trained",
    "name": "our photographs",
    "user": "ada",
    "visibility": "lab",
    "architecture": "vit_small_patch14_reg4_dinov2.lvd142m",
    "base": "vit_small_patch14_reg4_dinov2.lvd142m",
    "job": "job_01k9zq6f3s8m4v7c2n5x0d1b9e",
    "patch_size": 14,
    "dim": 384,
    "depth": 12,
    "prefix_tokens": 5,
    "size": 518,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "sha256": "5f0f0b3a" * 8,
    "bytes": 88253152,
    "steps": 1500,
    "created_at": "2026-11-23T14:00:00Z",
    "links": {"weights": "/encoders/enc_01k9zqa7m2r5t8w1y4b6d9f0hk/weights"},
}


class EncoderChoice(EncoderConfig):
    """Which encoder: the id of a result (`enc_…`), `name`, `name@random`, `name@path`, or an
    object.
    """

    id: Annotated[str | None, Field(pattern=rf"^{ENCODER_ID.pattern}$")] = Field(
        None, description="Id of a post-trained encoder, instead of the other two."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_id(cls, value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith("enc_"):
            return value
        if not ENCODER_ID.fullmatch(value):
            raise ValueError("no id of an encoder: `enc_` and 26 characters; see GET /encoders")
        return {"id": value}

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.id and len(self.model_fields_set) > 1:
            raise ValueError("give either an id, or an architecture and weights")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """An object, or the short form as a string."""
        text = {"type": "string", "examples": [ENCODER_EXAMPLE["id"], "test_vit@random"]}
        return {"title": cls.__name__, "anyOf": [text, handler(schema)]}


Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


class EncoderView(BaseModel):
    """One encoder: a base architecture, or the result of a job."""

    model_config = ConfigDict(json_schema_extra={"examples": [ENCODER_EXAMPLE]})

    id: str = Field(description="`enc_…`, or the architecture's name in timm.")
    kind: EncoderKind
    name: str | None
    user: str | None = Field(description="Name of its owner; null for a base architecture.")
    visibility: Visibility = Field(description="Its job's: who may see and use it.")
    architecture: str = Field(description="Name of the timm model that takes the weights.")
    base: str | None = Field(description="Where its post-training began.")
    job: str | None = Field(description="The job that made it.")
    patch_size: int = Field(description="Side of a patch in pixels.")
    dim: int = Field(description="Length of a patch token.")
    depth: int = Field(description="Blocks.")
    prefix_tokens: int = Field(description="Class and register tokens before the patch tokens.")
    size: int = Field(description="Side in pixels of the images that it was made for.")
    mean: Channels
    std: Channels
    sha256: str | None
    bytes: int | None
    steps: int | None
    created_at: datetime | None
    links: dict[str, str]

    @classmethod
    def of(cls, encoder: Encoder, facts: Architecture, user: str, visibility: Visibility) -> Self:
        """Show a row, with the name of its job's owner and who may see that."""
        links = {
            "self": f"/encoders/{encoder.id}",
            "weights": f"/encoders/{encoder.id}/weights",
            "job": f"/jobs/{encoder.job_id}",
        }
        return cls(
            **_facts(facts),
            id=encoder.id,
            kind="post-trained",
            name=encoder.name,
            user=user,
            visibility=visibility,
            base=encoder.base,
            job=encoder.job_id,
            sha256=encoder.sha256,
            bytes=encoder.bytes,
            steps=encoder.steps,
            created_at=encoder.created_at,
            links=links,
        )

    @classmethod
    def of_base(cls, facts: Architecture) -> Self:
        """Show a base architecture."""
        return cls(
            **_facts(facts),
            id=facts.name,
            kind="base",
            name=None,
            user=None,
            visibility="lab",
            base=None,
            job=None,
            sha256=None,
            bytes=None,
            steps=None,
            created_at=None,
            links={"self": f"/encoders/{facts.name}"},
        )


def _facts(facts: Architecture) -> dict[str, Any]:
    fields = facts._asdict()
    fields["architecture"] = fields.pop("name")
    return fields
