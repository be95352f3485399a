"""Measuring what an encoder's features are worth, by the protocols of the field.

Protocols (`in_context`, `linear`, `overclustering`, `knn`) take plain arrays of features and masks
and give predictions; `segmentation` scores them and `intervals` says how sure the score is. Nothing
here trains an encoder.

The public names load on first use, so that reading settings never imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paka.evaluation.in_context import in_context_miou as in_context_miou
    from paka.evaluation.in_context import in_context_predictions as in_context_predictions

_HOMES = {
    "in_context_miou": "paka.evaluation.in_context",
    "in_context_predictions": "paka.evaluation.in_context",
}
__all__ = ["in_context_miou", "in_context_predictions"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'paka.evaluation' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
