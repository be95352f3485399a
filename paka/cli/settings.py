"""From a preset, a YAML file and `--set` options to one checked `TrainConfig`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from paka.cli.errors import describe, nearest
from paka.cli.reference import read_reference
from paka.config import TrainConfig
from paka.errors import ConfigError
from paka.files import read_json
from paka.presets import DEFAULT_PRESET, PRESETS, merge, resolve


class Given(NamedTuple):
    """What a user set, from wherever; `preset` is None if none was named."""

    preset: str | None
    overrides: dict[str, Any]


def gather(
    file: Path | None = None,
    assignments: Sequence[str] = (),
    *,
    dataset: str | None = None,
    encoder: str | None = None,
    preset: str | None = None,
) -> Given:
    """Lay the file, then the assignments, then the other options over one another.

    Paths become absolute, so that the run can go on from any folder.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, or an encoder that is not there.
    """
    overrides = read_file(file) if file else {}
    chosen = preset or overrides.get("preset")
    overrides.pop("preset", None)
    for assignment in assignments:
        overrides = merge(overrides, parse_assignment(assignment))
    given = {"dataset": dataset, "encoder": encoder}
    overrides |= {key: value for key, value in given.items() if value is not None}
    for section in (overrides, overrides.get("evaluate")):
        if isinstance(section, dict) and isinstance(section.get("dataset"), str):
            section["dataset"] = str(Path(section["dataset"]).expanduser().absolute())
    encoder_given = overrides.get("encoder")
    if isinstance(encoder_given, str):
        overrides["encoder"] = read_reference(encoder_given).model_dump()
    elif isinstance(encoder_given, Mapping) and "architecture" not in encoder_given:
        raise ConfigError("weights belong to an architecture: set encoder=name@weights as a whole")
    return Given(chosen, overrides)


def parse_assignment(assignment: str, model: type[BaseModel] = TrainConfig) -> dict[str, Any]:
    """`optim.lr_encoder=1e-4` as {"optim": {"lr_encoder": …}}; the value is YAML.

    Args:
        model: whose setting it is.

    Raises:
        ConfigError: no `=`, an unknown key (the nearest are named), or a value that is not YAML.
    """
    key, equals, text = assignment.partition("=")
    if not equals:
        raise ConfigError(f"--set {assignment}: give key=value, such as optim.lr_encoder=1e-4")
    known = list(setting_names(model))
    if key not in known:
        raise ConfigError(f"--set {assignment}: no setting is called {key}{nearest(key, known)}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {assignment}: {text!r} is not YAML: {error}") from None
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def new_config(given: Given) -> TrainConfig:
    """The settings of a new run.

    Raises:
        ConfigError: listing every setting that cannot be used.
    """
    try:
        return resolve(given.overrides, given.preset or DEFAULT_PRESET)
    except ValidationError as error:
        raise ConfigError(describe(error, list(setting_names()))) from None


def same_config(path: Path, given: Given) -> TrainConfig:
    """The settings that a run has already, in its config.json at `path`.

    Raises:
        ConfigError: something was given that is otherwise there; every such setting is named.
    """
    there = read_json(path)
    preset = PRESETS.get(given.preset or "", {})
    try:
        old = TrainConfig.model_validate(there)
        new = TrainConfig.model_validate(merge(merge(there, preset), given.overrides))
    except ValidationError as error:
        raise ConfigError(describe(error, list(setting_names()))) from None
    before, after = dict(_flat(old.model_dump())), dict(_flat(new.model_dump()))
    lines = [
        f"  {name}: {before.get(name)} there, {value} here"
        for name, value in after.items()
        if before.get(name) != value
    ]
    if lines:
        head = f"the run in {path.parent} has other settings; start a new one in another folder"
        raise ConfigError("\n".join([head, *lines]))
    return old


def to_yaml(config: TrainConfig) -> str:
    """All settings, as `--config` takes them."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def setting_names(model: type[BaseModel] = TrainConfig, prefix: str = "") -> Iterator[str]:
    """The names of all settings and sections, dotted."""
    for name, field in model.model_fields.items():
        yield prefix + name
        optional = get_origin(field.annotation) is UnionType
        for part in get_args(field.annotation) if optional else (field.annotation,):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from setting_names(part, f"{prefix}{name}.")


def read_file(path: Path) -> dict[str, Any]:
    """Settings from a YAML file.

    Raises:
        ConfigError: it is not there, or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold settings such as `optim: {{epochs: 5}}`")
    return content


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
