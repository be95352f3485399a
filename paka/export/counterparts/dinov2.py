"""Plain vision transformers with a class token as `Dinov2WithRegistersModel`.

Of the models that `transformers` has for them it is the one that resizes position embeddings as
timm does, and computes the same at every size. A ViT without layer scales has scales of one there,
one without registers has none of them; position embeddings of further prefix tokens are added to
these tokens once and for all.
"""

from typing import Any

import torch
from torch import Tensor, nn

from paka.export.counterparts.common import (
    Counterpart,
    Tensors,
    activation,
    common_config,
    ones_like_norm,
    plain_problem,
)

_NAMES = ("attention.attention.query", "attention.attention.key", "attention.attention.value")


def problem(vit: nn.Module) -> str | None:
    """Why the model cannot be this one; None: it can."""
    parts: Any = vit
    if plain := plain_problem(vit):
        return plain
    mlp = parts.blocks[0].mlp
    gated = _is_gated(vit)
    checks = {
        "it has no class token": parts.cls_token is None,
        "it has a norm before its blocks": not isinstance(parts.norm_pre, nn.Identity),
        "its MLPs are of another kind": activation(mlp) != ("silu" if gated else "gelu"),
        f"the width of its MLPs, {mlp.fc1.out_features}, is no whole multiple of its dimension": (
            not gated and mlp.fc1.out_features % parts.embed_dim > 0
        ),
    }
    return next((words for words, holds in checks.items() if holds), None)


def convert(vit: nn.Module) -> Counterpart:
    """Settings and tensors of a model that has no `problem`."""
    parts: Any = vit
    block = parts.blocks[0]
    with Tensors(vit).all_taken() as left:
        tensors = _embeddings(vit, left) | left.layer("norm", "layernorm")
        for number in range(len(parts.blocks)):
            tensors |= _block(vit, left, f"blocks.{number}", f"encoder.layer.{number}")
    gated = _is_gated(vit)
    return Counterpart(
        common_config(vit, "dinov2_with_registers", "Dinov2WithRegistersModel")
        | {
            "hidden_act": "gelu",
            # Of a gated MLP only two thirds of this width are left, rounded up to eights.
            "mlp_ratio": 4 if gated else block.mlp.fc1.out_features // parts.embed_dim,
            "use_swiglu_ffn": gated,
            "qkv_bias": block.attn.qkv.bias is not None,
            "num_register_tokens": parts.num_prefix_tokens - 1,
        },
        tensors,
        pooling="cls",
        any_size=True,
    )


def _is_gated(vit: nn.Module) -> bool:
    parts: Any = vit
    return type(parts.blocks[0].mlp).__name__ == "GluMlp"


def _embeddings(vit: nn.Module, left: Tensors) -> dict[str, Tensor]:
    """Tokens that every image has, and positions; theirs has a position for the class token."""
    parts: Any = vit
    prefix = [left.take(n) for n in ("cls_token", "dist_token", "reg_token") if n in left]
    tokens, positions = torch.cat(prefix, 1), left.take("pos_embed")
    with_prefix = positions.shape[1] - parts.patch_embed.num_patches
    of_prefix = torch.zeros_like(tokens)
    of_prefix[:, :with_prefix] = positions[:, :with_prefix]
    projection = left.layer("patch_embed.proj", "embeddings.patch_embeddings.projection")
    bias = "embeddings.patch_embeddings.projection.bias"
    return {
        "embeddings.cls_token": tokens[:, :1],
        "embeddings.register_tokens": tokens[:, 1:] + of_prefix[:, 1:],
        "embeddings.mask_token": torch.zeros(1, tokens.shape[2]),
        "embeddings.position_embeddings": torch.cat(
            [of_prefix[:, :1], positions[:, with_prefix:]], 1
        ),
        bias: torch.zeros(tokens.shape[2]),
        **projection,
    }


def _block(vit: nn.Module, left: Tensors, ours: str, theirs: str) -> dict[str, Tensor]:
    layers = {"fc1": "weights_in", "fc2": "weights_out"} if _is_gated(vit) else {}
    tensors = left.qkv(f"{ours}.attn.qkv", _NAMES) | left.layer(
        f"{ours}.attn.proj", "attention.output.dense"
    )
    for name in ("norm1", "norm2"):
        tensors |= left.layer(f"{ours}.{name}", name)
    for name in ("fc1", "fc2"):
        tensors |= left.layer(f"{ours}.mlp.{name}", f"mlp.{layers.get(name, name)}")
    for number in (1, 2):
        scale = f"{ours}.ls{number}.gamma"
        tensors[f"layer_scale{number}.lambda1"] = (
            left.take(scale) if scale in left else ones_like_norm(vit)
        )
    return {f"{theirs}.{name}": value for name, value in tensors.items()}
