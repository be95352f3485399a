"""Named starting points for `TrainConfig`, and how a user's own values are laid over them."""

from collections.abc import Mapping
from typing import Any

from paka.config import TrainConfig
from paka.errors import ConfigError

PRESETS: dict[str, dict[str, Any]] = {
    # The paper's main run: ViT-S/14 with registers at 518 / 98 pixels, batch 64, 25 epochs.
    "paper": {
        "encoder": {"architecture": "vit_small_patch14_reg4_dinov2.lvd142m"},
        "views": {"global_size": 518},
        "optim": {"batch_size": 64, "epochs": 25},
    },
    # The same at 224 / 98: about a fifth of the teacher's cost.
    "light": {
        "encoder": {"architecture": "vit_small_patch14_reg4_dinov2.lvd142m"},
        "views": {"global_size": 224},
        "optim": {"batch_size": 64, "epochs": 25},
    },
    # A minute on two cores without a GPU: for demonstrations and tests of an installation.
    "tiny": {
        "encoder": {"architecture": "vit_tiny_patch16_224", "weights": "random"},
        "views": {"global_size": 160, "local_size": 64, "local_crops": 4},
        "loss": {"grid": 4},
        "head": {"hidden": 256, "out": 64},
        "teacher": {"momentum": 0.98},
        "optim": {
            "batch_size": 8,
            "epochs": 10_000,
            "max_steps": 120,
            "lr_encoder": 1e-4,
            "lr_head": 1e-3,
        },
        "runtime": {"workers": 1, "log_every": 2, "checkpoint_every_steps": 20},
    },
}
DEFAULT_PRESET = "light"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `over` on `base`, section by section; neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if nested else value
    return merged


def resolve(overrides: Mapping[str, Any], preset: str = DEFAULT_PRESET) -> TrainConfig:
    """Return the preset with the user's values laid over it, checked.

    A user's `encoder` replaces the preset's as a whole, since weights belong to an architecture.

    Raises:
        ConfigError: the preset is unknown.
        pydantic.ValidationError: a value is unknown, out of range, or does not fit the others.
    """
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}; there are {', '.join(sorted(PRESETS))}")
    base = dict(PRESETS[preset])
    if "encoder" in overrides:
        base.pop("encoder")
    return TrainConfig.model_validate(merge(base, overrides))
