"""The models of `transformers` that compute what timm's vision transformers do.

One module for each of its architectures, which has two functions: `problem(vit)` says why a timm
model is not of this kind (None: it is), `convert(vit)` gives settings and tensors under the names
that the architecture has on the hub. Nothing here imports `transformers`.
"""

from torch import nn

from paka.errors import ExportError
from paka.export.counterparts import clip, dinov2, dinov3, siglip
from paka.export.counterparts.common import Counterpart

_KINDS = {
    "DINOv2 with registers (DINOv2, ViT, DeiT, MAE, DINO)": dinov2,
    "DINOv3": dinov3,
    "CLIP's vision model": clip,
    "SigLIP's vision model": siglip,
}


def find_counterpart(vit: nn.Module, name: str) -> Counterpart:
    """Convert a timm model.

    Args:
        name: what to call it in an error.

    Raises:
        ExportError: `transformers` has nothing that computes the same.
    """
    problems = []
    for kind, module in _KINDS.items():
        problem = module.problem(vit)
        if problem is None:
            return module.convert(vit)
        problems.append(f"{kind}: {problem}")
    raise ExportError(
        f"transformers has no model that computes what {name} does. {'; '.join(problems)}. "
        "Export it --to onnx, timm or huggingface"
    )


__all__ = ["Counterpart", "find_counterpart"]
