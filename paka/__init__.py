"""PaKA: post-train a vision transformer so that its patch features improve.

The method and nothing else lives here: losses, views, alignment, encoders, the trainer, features,
pictures and the command `paka`. Nothing here may import `service` or `worker`.

The public names load on first use, so that reading settings (`paka.config`) never imports torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paka.config import TrainConfig as TrainConfig
    from paka.encoder import DenseEncoder as DenseEncoder
    from paka.losses import PatchKernelAlignmentLoss as PatchKernelAlignmentLoss
    from paka.shards.reader import FeatureReader as FeatureReader
    from paka.trainer import Trainer as Trainer

_HOMES = {
    "DenseEncoder": "paka.encoder",
    "FeatureReader": "paka.shards.reader",
    "PatchKernelAlignmentLoss": "paka.losses",
    "TrainConfig": "paka.config",
    "Trainer": "paka.trainer",
}
__all__ = ["DenseEncoder", "FeatureReader", "PatchKernelAlignmentLoss", "TrainConfig", "Trainer"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'paka' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
