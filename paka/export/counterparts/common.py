"""What all counterparts are made with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from timm.layers.mlp import Mlp
from torch import Tensor, nn

from paka.errors import ExportError

_ACTIVATIONS = {
    "GELU": "gelu",
    "GELUTanh": "gelu_pytorch_tanh",
    "QuickGELU": "quick_gelu",
    "SiLU": "silu",
}


class Counterpart(NamedTuple):
    """A timm model in the words of `transformers`.

    Args:
        config: the content of config.json.
        tensors: by the names that this architecture has on the hub.
        pooling: which image features of `DenseEncoder` its `pooler_output` is.
        any_size: whether it resizes position embeddings as timm does. If not, it must be asked to
            (`interpolate_pos_encoding=True`), and differs from timm at every size but its own.
        final_norm: the module that must still be applied to its `last_hidden_state`.
    """

    config: dict[str, Any]
    tensors: dict[str, Tensor]
    pooling: Literal["native", "cls"]
    any_size: bool
    final_norm: str | None = None


class Tensors:
    """The tensors of a timm model, each to be taken once."""

    def __init__(self, vit: nn.Module) -> None:
        self._left = {name: value.detach() for name, value in vit.state_dict().items()}

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str) -> Tensor:
        """One tensor.

        Raises:
            ExportError: the model has none of this name.
        """
        if name not in self._left:
            raise ExportError(f"the encoder has no {name}, which its kind of architecture has")
        return self._left.pop(name)

    def layer(self, ours: str, theirs: str) -> dict[str, Tensor]:
        """Weight and, if there is one, bias of a layer under another name."""
        parts = [part for part in ("weight", "bias") if f"{ours}.{part}" in self]
        return {f"{theirs}.{part}": self.take(f"{ours}.{part}") for part in parts}

    def qkv(self, ours: str, theirs: tuple[str, str, str]) -> dict[str, Tensor]:
        """The three layers that timm keeps in one."""
        parts = self.layer(ours, "qkv")
        return {
            f"{name}.{kind.removeprefix('qkv.')}": third
            for kind, value in parts.items()
            for name, third in zip(theirs, value.chunk(3), strict=True)
        }

    @contextmanager
    def all_taken(self) -> Iterator["Tensors"]:
        """Raise ExportError if a tensor is left at the end: its effect would be lost."""
        yield self
        if self._left:
            raise ExportError(
                f"transformers' model has no place for {', '.join(sorted(self._left)[:3])} "
                f"({len(self._left)} tensors of the encoder in all)"
            )


def common_config(vit: nn.Module, model_type: str, model: str) -> dict[str, Any]:
    """The settings that every architecture has."""
    parts: Any = vit
    block = parts.blocks[0]
    return {
        "architectures": [model],
        "model_type": model_type,
        "hidden_size": parts.embed_dim,
        "num_hidden_layers": len(parts.blocks),
        "num_attention_heads": block.attn.num_heads,
        "layer_norm_eps": parts.norm.eps,
        "image_size": image_size(vit),
        "patch_size": parts.patch_embed.patch_size[0],
        "num_channels": 3,
        "dtype": "float32",
    }


def image_size(vit: nn.Module) -> int:
    """Side in pixels of the square images for which the model has position embeddings."""
    parts: Any = vit
    return int(parts.patch_embed.grid_size[0] * parts.patch_embed.patch_size[0])


def activation(mlp: nn.Module) -> str | None:
    """What `transformers` calls the activation of an MLP; None if it has it not."""
    return _ACTIVATIONS.get(type(getattr(mlp, "act", None)).__name__)


def plain_problem(vit: nn.Module) -> str | None:
    """Why the model is not made of timm's plain blocks with a final layer norm; None: it is."""
    parts: Any = vit
    block = parts.blocks[0]
    kinds = (type(vit).__name__, type(block).__name__, type(getattr(block, "attn", None)).__name__)
    if kinds[0] not in ("VisionTransformer", "VisionTransformerDistilled"):
        return f"it is a {kinds[0]}, not a plain vision transformer"
    if kinds[1:] != ("Block", "Attention"):
        return f"its blocks are {kinds[1]} with {kinds[2]}"
    if not isinstance(parts.norm, nn.LayerNorm):
        return "it has no layer norm at its end"
    return None


def mlp_problem(vit: nn.Module, *acts: str) -> str | None:
    """Why the MLPs are not plain ones with one of these activations; None: they are."""
    parts: Any = vit
    mlp = parts.blocks[0].mlp
    if type(mlp) is not Mlp or activation(mlp) not in acts:
        return f"its blocks have {type(mlp).__name__} with {type(mlp.act).__name__}"
    return None


def ones_like_norm(vit: nn.Module) -> Tensor:
    """A layer scale that changes nothing."""
    parts: Any = vit
    return torch.ones(parts.embed_dim)
