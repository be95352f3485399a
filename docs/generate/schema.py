"""JSON schemas in words: what type a field has, within which bounds, and what it is for."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Schema = Mapping[str, Any]
Linker = Callable[[str], str]
"""Turns the name of a schema into Markdown."""

_FORMATS = {"binary": "file", "date-time": "time"}
_NAMES = {"array": "list", "null": "null"}


class Field(NamedTuple):
    """One field of an object; `default` is missing where it must be given."""

    name: str
    type: str
    required: bool
    default: str
    description: str


def fields(schema: Schema, link: Linker) -> Iterator[Field]:
    """The fields of an object's schema, in their order."""
    for name, field in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        shown = value(field["default"]) if "default" in field and not required else ""
        yield Field(name, type_of(field, link), required, shown, description(field))


def description(schema: Schema) -> str:
    """What a field is for, in one line."""
    found = [schema, *schema.get("anyOf", ())]
    return next((" ".join(one["description"].split()) for one in found if "description" in one), "")


def value(found: Any) -> str:
    """A default as one writes it in JSON."""
    return f"`{json.dumps(found, ensure_ascii=False)}`"


def type_of(schema: Schema, link: Linker) -> str:
    """A type and its bounds in words, such as `integer, 1 … 64`."""
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(type_of(one, link) for one in options))
    if "allOf" in schema:
        return type_of(schema["allOf"][0], link)
    if "const" in schema:
        return value(schema["const"])
    if "enum" in schema:
        return ", ".join(value(one) for one in schema["enum"])
    if "prefixItems" in schema:
        return f"[{', '.join(type_of(one, link) for one in schema['prefixItems'])}]"
    kind: str = schema.get("type", "anything")
    name: str = _FORMATS.get(schema.get("format", ""), _NAMES.get(kind, kind))
    if isinstance(schema.get("items"), Mapping) and schema["items"]:
        name += f" of {type_of(schema['items'], link)}"
    return ", ".join([name, *_bounds(schema)])


def _bounds(schema: Schema) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        yield f"{_number(low)} … {_number(high)}"
        low = high = None
    for sign, bound in (("≥", low), (">", above), ("≤", high), ("<", below)):
        if bound is not None:
            yield f"{sign} {_number(bound)}"
    if "maxLength" in schema and schema.get("type") == "string":
        yield f"{schema.get('minLength', 0)} … {_number(schema['maxLength'])} characters"
    if "maxItems" in schema:
        yield f"{schema.get('minItems', 0)} … {schema['maxItems']} of them"
    elif schema.get("minItems"):
        yield f"{schema['minItems']} or more"


def _number(bound: float) -> str:
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
