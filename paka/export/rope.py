"""Rotary position embeddings of DINOv3 as a graph that holds for images of every size."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from timm.layers.pos_embed_sincos import RotaryEmbeddingDinoV3
from torch import Tensor, nn


class ResizableRope(nn.Module):
    """What timm's `RotaryEmbeddingDinoV3` computes, in operations that can be traced.

    timm divides by `float(rows)`, by which torch.export takes the example's number of rows for the
    only one: the graph would run at every size, with wrong positions at all but one.
    """

    periods: Tensor

    def __init__(self, rope: Any) -> None:
        super().__init__()
        self.register_buffer("periods", rope.periods, persistent=False)

    def get_embed(self, shape: Sequence[int]) -> Tensor:
        """Return sine and cosine side by side, (rows * columns, 2 * dimension of a head)."""
        sides = [(torch.arange(side, dtype=torch.float32) + 0.5) / side for side in shape]
        places = torch.stack(torch.meshgrid(sides, indexing="ij"), dim=-1).flatten(0, 1) * 2 - 1
        angles = (2 * math.pi * places[:, :, None] / self.periods).flatten(1)
        sine, cosine = angles.sin(), angles.cos()
        return torch.cat([sine, sine, cosine, cosine], dim=-1)


@contextmanager
def resizable_rope(vit: nn.Module) -> Iterator[None]:
    """Let a DINOv3 have a `ResizableRope` for a while; other models stay as they are."""
    rope: Any = getattr(vit, "rope", None)
    if not isinstance(rope, RotaryEmbeddingDinoV3) or not rope.rotate_half:
        yield
        return
    vit.rope = ResizableRope(rope)
    try:
        yield
    finally:
        vit.rope = rope
