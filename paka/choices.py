"""The words that a user chooses from; each stands here once, and importing it costs nothing."""

from typing import Literal

Resize = Literal["crop", "stretch"]
Pooling = Literal["native", "cls", "mean"]
Dtype = Literal["float16", "float32"]
FeatureFormat = Literal["safetensors", "zarr"]
