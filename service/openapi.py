"""What every route says about its errors, and the finishing of the OpenAPI document."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.errors import PROBLEM_TYPE, Problem

Responses = dict[int | str, dict[str, Any]]

TAGS = [
    {"name": "train", "description": "Post-train an encoder on images of your own."},
    {"name": "evaluate", "description": "Compare encoders on labelled images, before and after."},
    {"name": "embed", "description": "Dense features of images, one vector per patch."},
    {"name": "jobs", "description": "Follow, stop, resume and remove jobs; fetch what they made."},
    {"name": "encoders", "description": "Base encoders, and those that jobs made."},
    {"name": "datasets", "description": "What the data roots hold, and uploads of images."},
    {"name": "cluster", "description": "What runs where, who waits for what, who used how much."},
    {"name": "users", "description": "Who may use the service, as what, and by which keys."},
    {"name": "audit", "description": "Who changed what, when and from where."},
    {"name": "storage", "description": "Who takes how much room, and making room."},
    {"name": "health", "description": "Whether the service is alive, and ready for work."},
    {"name": "metrics", "description": "What Prometheus collects."},
]


def problems(*statuses: int) -> Responses:
    """The `responses=` of a route that may answer with these errors, beside 422 and 500."""
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase}
        for status in sorted({*statuses, 422, 500})
    }


def binary(description: str, *media_types: str) -> Responses:
    """The `responses=` of a route that answers with a file."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": description, "content": dict.fromkeys(media_types, schema)}}


def add_openapi(app: FastAPI) -> None:
    """Make the application's document say `application/problem+json` for every error, and ask for a
    key only if this server does.
    """
    needs_keys = app.state.settings.needs_keys

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                tags=TAGS,
            )
            for path in made["paths"].values():
                for operation in path.values():
                    _rename_problems(operation["responses"])
                    if "security" in operation:
                        _add_refusals(operation["responses"])
                        if not needs_keys:
                            del operation["security"]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _rename_problems(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        if status >= "400":
            _, content = response["content"].popitem()
            response["content"] = {PROBLEM_TYPE: content}


def _add_refusals(responses: dict[str, Any]) -> None:
    """What the door may answer to whoever has no key, a lesser role, or asks too often."""
    schema = {"$ref": "#/components/schemas/Problem"}
    for status in (401, 403, 429):
        described = {"description": HTTPStatus(status).phrase}
        responses.setdefault(
            str(status), {**described, "content": {PROBLEM_TYPE: {"schema": schema}}}
        )
