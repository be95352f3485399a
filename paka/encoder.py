"""Any timm vision transformer as a source of dense features."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from paka.architectures import find_architecture
from paka.choices import Pooling
from paka.config import EncoderConfig
from paka.errors import EncoderError
from paka.weights import build_vit


class DenseFeatures(NamedTuple):
    """`patch_tokens` (B, h, w, D), row by row from the top left, and `image_features` (B, D)."""

    patch_tokens: Tensor
    image_features: Tensor


class DenseEncoder(nn.Module):
    """A vision transformer that gives one vector per patch: (B, 3, H, W) -> `DenseFeatures`.

    Works with or without class and register tokens, for every size whose sides are multiples of
    the patch size.

    Args:
        architecture: a timm name, see `paka encoders`.
        weights: `pretrained`, `random` (always the same draw) or the path of a weights file.

    Raises:
        EncoderError: unknown architecture, or weights that cannot be had or do not fit.

    Example:
        >>> encoder = DenseEncoder("vit_tiny_patch16_224", "random")
        >>> encoder(torch.rand(1, 3, 64, 96)).patch_tokens.shape
        torch.Size([1, 4, 6, 192])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: str, weights: str = "pretrained") -> None:
        super().__init__()
        try:
            self.architecture = find_architecture(architecture)
        except ValueError as error:
            raise EncoderError(str(error)) from None
        self.vit = build_vit(architecture, weights)
        for name in ("mean", "std"):
            value = torch.tensor(getattr(self.architecture, name)).view(3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    @classmethod
    def from_config(cls, config: EncoderConfig) -> "DenseEncoder":
        """Build what the settings name."""
        return cls(config.architecture, config.weights)

    def standardise(self, images: Tensor) -> Tensor:
        """Bring images in [0, 1], (B, 3, H, W), to the mean and spread the encoder was made for."""
        return (images - self.mean) / self.std

    def normalise(self, pixels: Tensor) -> Tensor:
        """`standardise` for uint8 pixels in [0, 255]."""
        return self.standardise(pixels.to(self.mean.dtype) / 255)

    def forward(
        self, images: Tensor, layers: Sequence[int] | None = None, pooling: Pooling = "native"
    ) -> DenseFeatures:
        """Return patch and image features of standardised images (B, 3, H, W).

        Args:
            layers: blocks whose patch tokens are joined along D, each normalised by the final
                norm, negative ones counted from the end; None: the last.
            pooling: how image features arise: `native` (the model's own), `cls` (its class
                token), `mean` (of the patch tokens).

        Raises:
            EncoderError: a size, a layer or the pooling that this architecture does not have.
        """
        self._check(images)
        if layers is None:
            tokens = self.vit.forward_features(images)  # type: ignore[operator]
            patches = self._grid(tokens, images)
        else:
            tokens, patches = self._layers(images, layers)
        return DenseFeatures(patches, self._pool(tokens, pooling))

    def patch_tokens(self, images: Tensor) -> Tensor:
        """Return patch tokens (B, h, w, D) of the last block alone, as training needs them."""
        return self._grid(self.vit.forward_features(images), images)  # type: ignore[operator]

    def freeze_unused(self) -> None:
        """Take gradients from parameters on which the last block's patch tokens do not depend.

        Training in several processes needs every trainable parameter to take part.
        """
        for name, parameter in self.vit.named_parameters():
            if name.startswith(("attn_pool.", "fc_norm.", "head")):
                parameter.requires_grad_(False)

    def compile_patch_tokens(self, cuda_graphs: bool = False) -> None:
        """Compile what `patch_tokens` runs, for input of one size.

        Args:
            cuda_graphs: have a GPU replay its kernels as one graph; call
                `torch.compiler.cudagraph_mark_step_begin` before each step, after which what was
                computed in the step before is overwritten.
        """
        vit: Any = self.vit
        mode = "reduce-overhead" if cuda_graphs else None
        vit.forward_features = torch.compile(vit.forward_features, dynamic=False, mode=mode)

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != 3:
            raise EncoderError(f"images must be (B, 3, H, W), got {tuple(images.shape)}")
        try:
            self.architecture.check_size(*images.shape[2:])
        except ValueError as error:
            raise EncoderError(str(error)) from None

    def _grid(self, tokens: Tensor, images: Tensor) -> Tensor:
        return self._unflatten(tokens[:, self.architecture.prefix_tokens :], images)

    def _unflatten(self, patches: Tensor, images: Tensor) -> Tensor:
        patch = self.architecture.patch_size
        return patches.unflatten(1, (images.shape[2] // patch, images.shape[3] // patch))

    def _layers(self, images: Tensor, layers: Sequence[int]) -> tuple[Tensor, Tensor]:
        depth = self.architecture.depth
        if any(not -depth <= layer < depth for layer in layers) or not layers:
            raise EncoderError(
                f"layers {list(layers)} must lie in {-depth} … {depth - 1}: "
                f"{self.architecture.name} has {depth} blocks"
            )
        wanted = [layer % depth for layer in layers]
        tokens, maps = self.vit.forward_intermediates(  # type: ignore[operator]
            images, indices=sorted(set(wanted)), norm=True, output_fmt="NLC"
        )
        by_layer = dict(zip(sorted(set(wanted)), maps, strict=True))
        patches = torch.cat([by_layer[layer] for layer in wanted], dim=-1)
        return tokens, self._unflatten(patches, images)

    def _pool(self, tokens: Tensor, pooling: Pooling) -> Tensor:
        if pooling == "native":
            return self.vit.forward_head(tokens, pre_logits=True)  # type: ignore
        if pooling == "mean":
            return tokens[:, self.architecture.prefix_tokens :].mean(1)
        if getattr(self.vit, "cls_token", None) is None:
            raise EncoderError(
                f"{self.architecture.name} has no class token; use pooling native or mean"
            )
        return tokens[:, 0]
