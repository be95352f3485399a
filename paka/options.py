"""What a user may choose about dense features, and what is said about them; without torch."""

from typing import Any

from pydantic import Field, field_validator

from paka.architectures import MAX_SIZE, Architecture
from paka.choices import Dtype, Pooling, Resize
from paka.config import Settings


class FeatureOptions(Settings):
    """How images are brought to the encoder, and which features come back."""

    size: int | tuple[int, int] | None = Field(
        None,
        description="Side of the encoder's input in pixels, or (height, width); multiples of the "
        "patch size. Default: the size the encoder was made for.",
        examples=[448],
    )
    resize: Resize = Field(
        "crop",
        description="`crop`: the largest centred part of the right shape; `stretch`: all of the "
        "image, whatever its shape.",
    )
    layers: tuple[int, ...] | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Blocks whose patch tokens are joined along the dimension; negative ones "
        "count from the end. Default: the last.",
        examples=[[-1]],
    )
    dtype: Dtype = Field("float16", description="Number format of the features.")
    normalize: bool = Field(False, description="Scale every vector to length one.")
    pooling: Pooling = Field(
        "native",
        description="Image features: the model's `native` ones, its `cls` token, or the `mean` "
        "of its patch tokens.",
    )

    @field_validator("size")
    @classmethod
    def _bounded(cls, size: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        for side in size if isinstance(size, tuple) else (size,):
            if side is not None and not 1 <= side <= MAX_SIZE:
                raise ValueError(f"size must lie in 1 … {MAX_SIZE}, got {side}")
        return size

    def input_size(self, architecture: Architecture) -> tuple[int, int]:
        """Height and width of the encoder's input in pixels.

        Raises:
            ValueError: the architecture cannot take this size, or has no such layers.
        """
        size = self.size or architecture.size
        height, width = size if isinstance(size, tuple) else (size, size)
        architecture.check_size(height, width)
        depth = architecture.depth
        if any(not -depth <= layer < depth for layer in self.layers or ()):
            raise ValueError(
                f"layers must lie in {-depth} … {depth - 1}, got {list(self.layers or ())}: "
                f"{architecture.name} has {depth} blocks"
            )
        return height, width


def geometry(
    architecture: Architecture, options: FeatureOptions, encoder: str, sha256: str
) -> dict[str, Any]:
    """What a user must know to place each vector and to make the same features again.

    Args:
        encoder: the reference by which the user named it.
        sha256: see `paka.weights.weights_sha256`.
    """
    height, width = options.input_size(architecture)
    patch = architecture.patch_size
    return {
        "encoder": encoder,
        "encoder_sha256": sha256,
        "architecture": architecture.name,
        "patch_size": patch,
        "grid": [height // patch, width // patch],
        "prefix_tokens": architecture.prefix_tokens,
        **options.model_dump(mode="json"),
        "size": [height, width],
    }
