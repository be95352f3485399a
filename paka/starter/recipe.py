"""How the starter encoder is trained: every setting, its bounds and its default."""

from pydantic import Field

from paka.config import Settings


class Recipe(Settings):
    """Multi-label classification of procedural scenes through the class token alone."""

    weights: str | None = Field(
        None, min_length=1, description="Weights file to go on from, classifier included."
    )
    scenes: int = Field(10_000, ge=1, le=1_000_000, description="Scenes drawn for training.")
    first_seed: int = Field(0, ge=0, description="Seed of the first scene; the others follow.")
    steps: int = Field(2000, ge=1, le=10_000_000, description="Updates at `size`.")
    size: int = Field(112, ge=32, le=512, multiple_of=16, description="Crop's side in pixels.")
    batch: int = Field(128, ge=1, le=4096, description="Crops per update.")
    final_steps: int = Field(
        120, ge=0, le=1_000_000, description="Last updates, at `final_size`, rate falling to zero."
    )
    final_size: int = Field(224, ge=32, le=512, multiple_of=16, description="Their crop's side.")
    final_batch: int = Field(64, ge=1, le=4096, description="Their crops per update.")
    crop: tuple[float, float] = Field(
        (0.25, 1.0), description="Area of a crop as a share of the scene."
    )
    lr: float = Field(1e-3, gt=0, le=1, description="Peak learning rate of AdamW.")
    warmup: int = Field(100, ge=0, le=100_000, description="Updates of linear warm-up.")
    weight_decay: float = Field(0.05, ge=0, le=1, description="Weight decay of AdamW.")
    clip: float = Field(1.0, gt=0, le=1000, description="Clip the gradient to this norm.")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of weights, order and crops.")
    least_share: float = Field(
        0.005, ge=0, lt=1, description="A class counts as shown from this share of the pixels on."
    )
