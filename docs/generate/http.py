"""The HTTP reference, from the OpenAPI document of the application."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from docs.generate.schema import Schema, description, fields, table, type_of
from service.app import create_app
from service.openapi import TAGS
from service.store.settings import Settings

SECTIONS = {
    "ViewsConfig": "views",
    "LossConfig": "loss",
    "HeadConfig": "head",
    "TeacherConfig": "teacher",
    "OptimConfig": "optim",
    "RuntimeConfig": "runtime",
    "LoggingConfig": "logging",
}
"""Schemas that settings.md describes, and under which heading."""


def document() -> dict[str, Any]:
    """The OpenAPI document of a server that asks for keys."""
    return create_app(Settings(auth="on")).openapi()


def routes() -> str:
    """Every route by what it is about: parameters, body, answers and errors."""
    made = document()
    text = ""
    for tag in TAGS:
        text += f"## {tag['name']}\n\n{tag['description']}\n\n"
        for path, methods in made["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    text += _route(f"{method.upper()} {path}", operation)
    return text


def objects() -> str:
    """Every object that bodies and answers hold, but for those of settings.md."""
    made = document()["components"]["schemas"]
    return "".join(
        f"### {name} {{ #{_anchor(name)} }}\n\n{description(schema)}\n\n{_shape(schema)}\n"
        for name, schema in sorted(made.items())
        if name not in SECTIONS
    )


def _route(title: str, operation: Mapping[str, Any]) -> str:
    text = f"### `{title}`\n\n**{operation['summary']}.**\n{operation['description']}\n\n"
    if parameters := operation.get("parameters"):
        rows = [
            [f"`{one['name']}`", one["in"], _with_default(one), description(one)]
            for one in parameters
        ]
        text += table(["parameter", "in", "type and bounds", "what it is"], rows) + "\n"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        text += f"Body, `{media}`: {_body(content['schema'])}\n"
    return text + _answers(operation["responses"]) + "\n"


def _with_default(parameter: Mapping[str, Any]) -> str:
    schema = parameter["schema"]
    default = f"; default `{schema['default']}`" if schema.get("default") not in (None, "") else ""
    needed = "; must be given" if parameter.get("required") and parameter["in"] != "path" else ""
    return type_of(schema, _link) + default + needed


def _body(schema: Schema) -> str:
    if schema.get("properties"):
        return f"{description(schema)}\n\n{_fields(schema)}"
    return type_of(schema, _link) + "\n"


def _answers(responses: Mapping[str, Any]) -> str:
    rows, errors = [], []
    for status, response in sorted(responses.items()):
        if status >= "400":
            errors.append(f"{status} {HTTPStatus(int(status)).phrase}")
            continue
        kinds = [_kind(media, one) for media, one in response.get("content", {}).items()]
        rows.append([status, response["description"], "; ".join(kinds)])
    text = table(["answer", "meaning", "content"], rows)
    return f"{text}\nErrors ([Problem](#{_anchor('Problem')})): {', '.join(errors)}.\n"


def _kind(media: str, content: Mapping[str, Any]) -> str:
    schema = content.get("schema") or {}
    known = type_of(schema, _link) if schema and schema.get("type") != "string" else ""
    return f"`{media}`{' ' if known else ''}{known}"


def _shape(schema: Schema) -> str:
    """The fields of an object; of a choice, what else it may be."""
    if schema.get("properties"):
        return _fields(schema)
    choices = schema.get("anyOf", [schema])
    tables = [_fields(one) for one in choices if one.get("properties")]
    return f"{type_of(schema, _link)}\n\n{''.join(tables)}"


def _fields(schema: Schema) -> str:
    rows = [
        [
            f"`{one.name}`",
            one.type,
            "must be given" if one.required else one.default,
            one.description,
        ]
        for one in fields(schema, _link)
    ]
    return table(["field", "type and bounds", "default", "what it is"], rows)


def _link(name: str) -> str:
    if name in SECTIONS:
        return f"[{SECTIONS[name]}](settings.md#{SECTIONS[name]})"
    return f"[{name}](#{_anchor(name)})"


def _anchor(name: str) -> str:
    return f"object-{name.lower()}"
