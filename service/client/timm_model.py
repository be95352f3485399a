"""A downloaded encoder as a timm model; of this package, only this module needs timm and torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.client.errors import MissingPackage
from service.client.schemas import Encoder

if TYPE_CHECKING:
    from torch import nn

    TimmModel = nn.Module


def check(architecture: str) -> None:
    """See that a model can be built, before its weights are fetched.

    Raises:
        MissingPackage: timm or torch is not installed.
    """
    try:
        import timm  # noqa: F401

        import paka.starter.vit_starter  # noqa: F401  from here on timm knows the starter
    except ImportError as error:
        raise MissingPackage(
            f"to build {architecture} takes timm and torch ({error}): pip install "
            "'paka-service[train]'"
        ) from error


def build(encoder: Encoder, weights: Path | None, **options: Any) -> "TimmModel":
    """The model, in evaluation mode, for images of any size.

    Args:
        weights: its file; None for a base architecture, whose weights timm has.
        options: for `timm.create_model`.
    """
    import timm

    options = {"num_classes": 0, "dynamic_img_size": True, **options}
    if weights is None:
        options["pretrained"] = True
    else:
        options["checkpoint_path"] = str(weights)
    model: TimmModel = timm.create_model(encoder.architecture, **options)
    return model.eval()
