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
    # About a minute on two cores without a GPU, with the encoder that comes along: for a first
    # look, and for small encoders on few images. Found in docs/results.md.
    "tiny": {
        "encoder": {"architecture": "vit_starter_patch16_224"},
        "views": {
            "global_size": 128,
            "local_size": 96,
            "local_crops": 3,
            "global_scale": (0.5, 1.0),
            "local_scale": (0.2, 0.6),
        },
        "loss": {"grid": 6},
        "head": {"hidden": 512, "out": 128},
        "optim": {
            "batch_size": 16,
            "epochs": 10_000,
            "max_steps": 80,
            "lr_encoder": 3e-4,
            "lr_head": 3e-3,
        },
        "runtime": {
            "workers": 1,
            "log_every": 2,
            "checkpoint_every_steps": 20,
            "probe_images": 16,
            # In so few steps the average hardly moves; it is the student that learns.
            "export": "student",
        },
    },
}
DEFAULT_PRESET = "light"

ABOUT: dict[str, str] = {
    "paper": "The paper's main run: ViT-S/14 DINOv2 with registers at 518 pixels, 25 epochs. "
    "For a GPU.",
    "light": "The paper's run at 224 pixels instead of 518: about a fifth of the teacher's cost. "
    "For a GPU.",
    "tiny": "A first look: the starter encoder and 80 steps; about a minute on two cores, "
    "without a GPU.",
}
"""What each preset is for, and what it takes, in a line."""


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
