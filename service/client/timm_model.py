"""A downloaded encoder as a timm model; of this package, only this module needs timm and torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.client.errors import MissingPackage
from service.client.schemas import Encoder

if TYPE_CHECKING:
    from torch import nn

    TimmModel = nn.Module


def build(encoder: Encoder, weights: Path | None, **options: Any) -> "TimmModel":
    """The model, in evaluation mode, for images of any size.

    Args:
        weights: its file; None for a base architecture, whose weights timm has.
        options: for `timm.create_model`.
    """
    try:
        import timm

        import paka.starter.vit_starter  # noqa: F401  from here on timm knows the starter
    except ImportError as error:
        raise MissingPackage(
            f"to build {encoder.architecture} takes timm and torch ({error}): pip install "
            "'paka-service[train]'"
        ) from error
    options = {"num_classes": 0, "dynamic_img_size": True, **options}
    if weights is None:
        options["pretrained"] = True
    else:
        options["checkpoint_path"] = str(weights)
    model: TimmModel = timm.create_model(encoder.architecture, **options)
    return model.eval()
