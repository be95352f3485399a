"""Settings of a run from a preset, a YAML file, and `--set key=value`, later ones winning."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from paka.config import TrainConfig
from paka.errors import ConfigError
from paka.presets import DEFAULT_PRESET, merge, resolve


def read_settings(
    dataset: Path | None, preset: str | None, file: Path | None, assignments: Sequence[str]
) -> TrainConfig:
    """Return the checked settings of a run.

    Args:
        dataset: wins over the file's.
        preset: wins over the file's own `preset`; `light` if neither names one.
        file: YAML, sections as in `TrainConfig`.
        assignments: such as `optim.lr_encoder=1e-4`, values in YAML.

    Raises:
        ConfigError: a file or an assignment that cannot be read, or an unknown key or preset.
        pydantic.ValidationError: a value that is out of range or does not fit the others.
    """
    values = _read_yaml(file) if file else {}
    preset = preset or values.pop("preset", DEFAULT_PRESET)
    values.pop("preset", None)
    for assignment in assignments:
        values = merge(values, _parse(assignment))
    if dataset is not None:
        values["dataset"] = str(dataset)
    if "dataset" in values:
        values["dataset"] = str(Path(values["dataset"]).resolve())
    _check_keys(values, TrainConfig)
    return resolve(values, preset)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{file} must hold settings such as `optim: {{batch_size: 32}}`")
    return values


def _parse(assignment: str) -> dict[str, Any]:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {assignment} must be key=value, such as optim.batch_size=32")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {assignment}: the value is no YAML ({error})") from None
    if isinstance(value, str) and _is_number(value):
        value = float(value)  # YAML 1.1 reads 1e-4 as a string
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_keys(values: dict[str, Any], model: type[BaseModel], place: str = "") -> None:
    """Refuse unknown keys with the nearest known ones, which pydantic does not name."""
    for key, value in values.items():
        if key not in model.model_fields:
            near = difflib.get_close_matches(str(key), model.model_fields, n=2)
            known = near or sorted(model.model_fields)
            raise ConfigError(f"unknown setting {place}{key}; did you mean {' or '.join(known)}?")
        inner = model.model_fields[key].annotation
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, BaseModel):
            _check_keys(value, inner, f"{place}{key}.")
