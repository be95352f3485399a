"""DINOv3 and its kin, with rotary position embeddings, as `DINOv3ViTModel`."""

from typing import Any

import torch
from torch import Tensor, nn

from paka.export.counterparts.common import (
    Counterpart,
    Tensors,
    activation,
    common_config,
    ones_like_norm,
)

_QKV = ("q_proj", "k_proj", "v_proj")


def problem(vit: nn.Module) -> str | None:
    """Why the model cannot be this one; None: it can."""
    parts: Any = vit
    rope = type(getattr(parts, "rope", None)).__name__
    if rope != "RotaryEmbeddingDinoV3" or not parts.rope.rotate_half:
        return "it has other position embeddings"
    mlp = parts.blocks[0].mlp
    checks = {
        "it has no class token": parts.cls_token is None,
        "it has absolute position embeddings as well": parts.pos_embed is not None,
        "it has no layer norm at its end": not isinstance(parts.norm, nn.LayerNorm),
        "its MLPs are of another kind": type(mlp).__name__ not in ("Mlp", "SwiGLU")
        or activation(mlp) is None,
    }
    return next((words for words, holds in checks.items() if holds), None)


def convert(vit: nn.Module) -> Counterpart:
    """Settings and tensors of a model that has no `problem`."""
    parts: Any = vit
    mlp = parts.blocks[0].mlp
    gated = type(mlp).__name__ == "SwiGLU"
    with Tensors(vit).all_taken() as left:
        tensors = {
            "embeddings.cls_token": left.take("cls_token"),
            "embeddings.mask_token": torch.zeros(1, 1, parts.embed_dim),
            "embeddings.register_tokens": left.take("reg_token")
            if "reg_token" in left
            else torch.zeros(1, 0, parts.embed_dim),
            **left.layer("patch_embed.proj", "embeddings.patch_embeddings"),
            **left.layer("norm", "norm"),
        }
        for number in range(len(parts.blocks)):
            tensors |= _block(vit, left, f"blocks.{number}", f"layer.{number}")
    return Counterpart(
        common_config(vit, "dinov3_vit", "DINOv3ViTModel")
        | {
            "hidden_act": activation(mlp),
            "intermediate_size": mlp.fc2.in_features,
            "use_gated_mlp": gated,
            "num_register_tokens": parts.num_prefix_tokens - 1,
            "rope_theta": parts.rope.temperature,
            **{
                f"{name}_bias": f"layer.0.attention.{name[0]}_proj.bias" in tensors
                for name in ("query", "key", "value")
            },
            "proj_bias": True,
            "mlp_bias": True,
        },
        tensors,
        pooling="cls",
        any_size=True,
    )


def _block(vit: nn.Module, left: Tensors, ours: str, theirs: str) -> dict[str, Tensor]:
    tensors = left.qkv(f"{ours}.attn.qkv", _QKV) | left.layer(f"{ours}.attn.proj", "o_proj")
    tensors |= {
        f"{name}_proj.bias": left.take(f"{ours}.attn.{name}_bias")
        for name in ("q", "v")
        if f"{ours}.attn.{name}_bias" in left
    }
    tensors = {f"attention.{name}": value for name, value in tensors.items()}
    for name in ("norm1", "norm2"):
        tensors |= left.layer(f"{ours}.{name}", name)
    gated = f"{ours}.mlp.fc1_g.weight" in left
    layers = {"fc1_g": "gate_proj", "fc1_x": "up_proj"} if gated else {"fc1": "up_proj"}
    for name, other in (layers | {"fc2": "down_proj"}).items():
        tensors |= left.layer(f"{ours}.mlp.{name}", f"mlp.{other}")
    for number in (1, 2):
        scale = f"{ours}.gamma_{number}"
        tensors[f"layer_scale{number}.lambda1"] = (
            left.take(scale) if scale in left else ones_like_norm(vit)
        )
    return {f"{theirs}.{name}": value for name, value in tensors.items()}
