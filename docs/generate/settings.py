"""The tables of all settings, from the pydantic models that check them."""

from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.schema import Field, Schema, description, fields, table, value
from paka.config import TrainConfig
from paka.evaluation.config import EvaluateConfig
from paka.options import FeatureOptions
from paka.presets import PRESETS, resolve


def training() -> str:
    """Every setting of a training, with its value in each preset, section by section."""
    schema = TrainConfig.model_json_schema()
    presets = [resolve({"dataset": "photos"}, name).model_dump(mode="json") for name in PRESETS]
    header = ["field", "type and bounds", *(f"`{name}`" for name in PRESETS), "what it is"]
    text = ""
    for name, field in schema["properties"].items():
        if name == "evaluate":  # the same as an evaluation by itself
            continue
        rows = [
            [f"`{path}`", one.type]
            + ["must be given" if one.required else _show(preset, path) for preset in presets]
            + [one.description]
            for path, one in _fields(schema, name)
        ]
        about = description(schema | _section(schema, field)) if "$ref" in field else ""
        text += f"### {name}\n\n{about}\n\n{table(header, rows)}\n"
    return text


def evaluation() -> str:
    """Every setting of an evaluation."""
    return _flat(EvaluateConfig.model_json_schema())


def features() -> str:
    """Every option of dense features."""
    return _flat(FeatureOptions.model_json_schema())


def _flat(schema: Schema) -> str:
    rows = [
        [f"`{path}`", one.type, "must be given" if one.required else one.default, one.description]
        for name in schema["properties"]
        for path, one in _fields(schema, name)
    ]
    return table(["field", "type and bounds", "default", "what it is"], rows)


def _fields(schema: Schema, name: str) -> Iterator[tuple[str, Field]]:
    """A field with its path; if it is a section, each field in it."""
    field = schema["properties"][name]
    if "$ref" in field:
        for one in fields(_section(schema, field), _reference):
            yield f"{name}.{one.name}", one
    else:
        for one in fields({**schema, "properties": {name: field}}, _reference):
            yield name, one


def _section(schema: Schema, field: Schema) -> dict[str, Any]:
    section: dict[str, Any] = schema["$defs"][field["$ref"].rpartition("/")[2]]
    return section


def _reference(name: str) -> str:
    return "`name` or `name@weights`" if name == "EncoderConfig" else "object"


def _show(settings: Mapping[str, Any], path: str) -> str:
    found: Any = settings
    for part in path.split("."):
        found = found[part]
    return value(found)
