"""What all settings share, and the one that every kind of work has: which encoder.

This module imports neither torch nor timm: the HTTP service checks requests with it.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from paka.architectures import Architecture, find_architecture


def misfit(field: str, problem: object) -> PydanticCustomError:
    """An error about a model as a whole; its context says which field of it to change."""
    context = {"field": field, "problem": str(problem)}
    return PydanticCustomError("misfit", "{field}: {problem}", context)


class Settings(BaseModel):
    """Base of all settings: an unknown field is an error, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EncoderConfig(Settings):
    """Which vision transformer, and where its weights come from.

    A string is short for it: `name` or `name@weights`, such as
    `vit_small_patch14_reg4_dinov2.lvd142m` or `vit_tiny_patch16_224@random`.
    """

    architecture: str = Field(
        "vit_small_patch14_reg4_dinov2.lvd142m",
        description="Name of a timm vision transformer, with or without a pretrained tag.",
        examples=["vit_small_patch14_reg4_dinov2.lvd142m"],
    )
    weights: str = Field(
        "pretrained",
        min_length=1,
        description="`pretrained` (timm's hub), `random` (always the same draw), or the path of a "
        ".safetensors, .pth or .pt file.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_reference(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        architecture, _, weights = value.partition("@")
        return {"architecture": architecture, **({"weights": weights} if weights else {})}

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            find_architecture(self.architecture)
        except ValueError as error:
            raise misfit("architecture", error) from None
        return self

    @property
    def facts(self) -> Architecture:
        """What is fixed by the architecture: patch size, dimension, prefix tokens."""
        return find_architecture(self.architecture)

    @property
    def reference(self) -> str:
        """The short form `name@weights` (`name` alone for pretrained weights)."""
        suffix = "" if self.weights == "pretrained" else f"@{self.weights}"
        return self.architecture + suffix
