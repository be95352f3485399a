"""CLIP's image towers as `CLIPVisionModel`.

Its `last_hidden_state` comes before the final norm: patch tokens are
`model.post_layernorm(last_hidden_state)[:, 1:]`.
"""

from typing import Any

from torch import Tensor, nn

from paka.export.counterparts.common import (
    Counterpart,
    Tensors,
    activation,
    common_config,
    mlp_problem,
    plain_problem,
)

_QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_LAYERS = {
    "norm1": "layer_norm1",
    "attn.proj": "self_attn.out_proj",
    "norm2": "layer_norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


def problem(vit: nn.Module) -> str | None:
    """Why the model cannot be this one; None: it can."""
    if plain := plain_problem(vit) or mlp_problem(vit, "gelu", "quick_gelu"):
        return plain
    parts: Any = vit
    if not isinstance(parts.norm_pre, nn.LayerNorm):
        return "it has no norm before its blocks"
    if parts.cls_token is None or parts.patch_embed.proj.bias is not None:
        return "its tokens are made in another way"
    return None


def convert(vit: nn.Module) -> Counterpart:
    """Settings and tensors of a model that has no `problem`."""
    parts: Any = vit
    mlp = parts.blocks[0].mlp
    with Tensors(vit).all_taken() as left:
        tensors = {
            "embeddings.class_embedding": left.take("cls_token")[0, 0],
            "embeddings.patch_embedding.weight": left.take("patch_embed.proj.weight"),
            "embeddings.position_embedding.weight": left.take("pos_embed")[0],
            **left.layer("norm_pre", "pre_layrnorm"),  # so they spell it
            **left.layer("norm", "post_layernorm"),
            **blocks(left, len(parts.blocks)),
        }
    return Counterpart(
        common_config(vit, "clip_vision_model", "CLIPVisionModel")
        | {"hidden_act": activation(mlp), "intermediate_size": mlp.fc1.out_features},
        {f"vision_model.{name}": value for name, value in tensors.items()},
        pooling="cls",
        any_size=False,
        final_norm="post_layernorm",
    )


def blocks(left: Tensors, depth: int) -> dict[str, Tensor]:
    """The blocks, which SigLIP's models have alike."""
    tensors: dict[str, Tensor] = {}
    for number in range(depth):
        ours, theirs = f"blocks.{number}", f"encoder.layers.{number}"
        q, k, v = (f"{theirs}.{name}" for name in _QKV)
        tensors |= left.qkv(f"{ours}.attn.qkv", (q, k, v))
        for name, other in _LAYERS.items():
            tensors |= left.layer(f"{ours}.{name}", f"{theirs}.{other}")
    return tensors
