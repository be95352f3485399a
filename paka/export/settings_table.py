"""A run's settings as others may see them: without the paths of the machine that it ran on."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from paka.config import TrainConfig
from paka.presets import PRESETS, resolve

# What is optimised, on what, and how: nothing of where results and metrics of the lab go.
_SECTIONS = (
    "encoder",
    "dataset",
    "views",
    "loss",
    "head",
    "teacher",
    "optim",
    "runtime",
    "evaluate",
)


def public_settings(config: TrainConfig) -> dict[str, Any]:
    """All settings of the method; of a path its last part is left."""
    dump = config.model_dump(mode="json")
    shown: dict[str, Any] = _without_folders({name: dump[name] for name in _SECTIONS})
    return shown


def to_yaml(config: TrainConfig) -> str:
    """`public_settings` as YAML."""
    return yaml.safe_dump(public_settings(config), sort_keys=False)


def nearest_preset(config: TrainConfig) -> tuple[str, dict[str, tuple[Any, Any]]] | None:
    """The preset from which the fewest settings differ, and these by name: the preset's, and own.

    The encoder and the data set are everybody's own and not compared; None if no preset's sizes
    fit the encoder.
    """
    same = {"encoder": config.encoder.reference, "dataset": config.dataset}
    own, found = dict(_flat(public_settings(config))), {}
    for name in PRESETS:
        try:
            preset = dict(_flat(public_settings(resolve(same, name))))
        except ValidationError:
            continue
        found[name] = {
            key: (preset.get(key), own.get(key))
            for key in preset | own
            if preset.get(key) != own.get(key)
        }
    return min(found.items(), key=lambda item: len(item[1]), default=None)


def _without_folders(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_folders(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_folders(part) for part in value]
    return Path(value).name if isinstance(value, str) and "/" in value else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
