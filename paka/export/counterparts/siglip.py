"""SigLIP's image towers, with and without the attention that pools, as `SiglipVisionModel`."""

from typing import Any

import torch
from torch import Tensor, nn

from paka.export.counterparts.clip import blocks
from paka.export.counterparts.common import (
    Counterpart,
    Tensors,
    activation,
    common_config,
    mlp_problem,
    plain_problem,
)


def problem(vit: nn.Module) -> str | None:
    """Why the model cannot be this one; None: it can."""
    if plain := plain_problem(vit) or mlp_problem(vit, "gelu", "gelu_pytorch_tanh"):
        return plain
    parts: Any = vit
    if parts.num_prefix_tokens or not isinstance(parts.norm_pre, nn.Identity):
        return "it has class or register tokens, or a norm before its blocks"
    if parts.blocks[0].attn.qkv.bias is None:
        return "its attention has no bias"
    return None


def convert(vit: nn.Module) -> Counterpart:
    """Settings and tensors of a model that has no `problem`."""
    parts: Any = vit
    mlp, pools = parts.blocks[0].mlp, parts.attn_pool is not None
    with Tensors(vit).all_taken() as left:
        tensors = {
            **left.layer("patch_embed.proj", "embeddings.patch_embedding"),
            "embeddings.position_embedding.weight": left.take("pos_embed")[0],
            **left.layer("norm", "post_layernorm"),
            **blocks(left, len(parts.blocks)),
            **(_pooling(left) if pools else {}),
        }
    return Counterpart(
        common_config(vit, "siglip_vision_model", "SiglipVisionModel")
        | {
            "hidden_act": activation(mlp),
            "intermediate_size": mlp.fc1.out_features,
            "vision_use_head": pools,
        },
        {f"vision_model.{name}": value for name, value in tensors.items()},
        pooling="native",
        any_size=False,
    )


def _pooling(left: Tensors) -> dict[str, Tensor]:
    return {
        "head.probe": left.take("attn_pool.latent"),
        **{
            f"head.attention.in_proj_{part}": torch.cat(
                [left.take(f"attn_pool.q.{part}"), left.take(f"attn_pool.kv.{part}")]
            )
            for part in ("weight", "bias")
        },
        **left.layer("attn_pool.proj", "head.attention.out_proj"),
        **left.layer("attn_pool.norm", "head.layernorm"),
        **left.layer("attn_pool.mlp.fc1", "head.mlp.fc1"),
        **left.layer("attn_pool.mlp.fc2", "head.mlp.fc2"),
    }
