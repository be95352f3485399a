"""Everything that can go wrong in a request, as `application/problem+json` (RFC 9457)."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from service.headers import secure
from service.request_context import current
from service.store.bucket import BucketError
from service.store.redact import redact
from service.store.session import is_away
from service.store.status import IllegalTransition

PROBLEM_TYPE = "application/problem+json"
RETRY_SECONDS = 5
MAX_ERRORS = 100
"""Bad fields that one answer names: a body may hold a hundred thousand."""
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_too_slow",
    413: "body_too_large",
}
_PLACES = ("body", "query", "path", "header")
_TYPE_IN_PATH = re.compile(r"int|tuple\[.*\]")

log = logging.getLogger(__name__)


# What went wrong elsewhere may quote an address with its password.
SafeText = Annotated[str, AfterValidator(redact)]


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Path of the field, such as `views.global_size`.")
    message: SafeText


class Problem(BaseModel):
    """Why a request was not done (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "optim.batch_size: Input should be greater than or equal to 1",
                    "code": "invalid_request",
                    "errors": [
                        {
                            "field": "optim.batch_size",
                            "message": "Input should be greater than or equal to 1",
                        }
                    ],
                }
            ]
        }
    )

    type: str = Field("about:blank", description="Always `about:blank`: `code` tells more.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: SafeText = Field(
        description="What went wrong, with which value, and what would be right."
    )
    code: str = Field(description="The reason for programs; it stays the same over versions.")
    errors: list[FieldError] = Field(
        default=[], description="Each field that is wrong; the first hundred."
    )
    request_id: str | None = Field(
        None, description="The request, as the header `X-Request-ID` and the server's log name it."
    )


class ApiError(Exception):
    """A request that cannot be done; the handler below turns it into a problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            code=code,
            errors=list(errors),
        )
        self.headers = headers

    def response(self) -> Response:
        """The problem as the answer to the request that is being served."""
        problem = self.problem
        if (request := current()) is not None:
            request.problem = problem.code
            problem = problem.model_copy(update={"request_id": request.id})
        return JSONResponse(
            problem.model_dump(),
            self.problem.status,
            headers=self.headers,
            media_type=PROBLEM_TYPE,
        )


def not_found(what: str, name: str) -> ApiError:
    """404: there is no `what` of this name."""
    return ApiError(404, f"{what.replace(' ', '_')}_not_found", f"there is no {what} {name!r}")


def invalid_field(field: str, message: str, code: str = "invalid_request") -> ApiError:
    """422: one field cannot be used."""
    return ApiError(
        422, code, f"{field}: {message}", errors=[FieldError(field=field, message=message)]
    )


def unavailable(code: str, detail: str, retry_seconds: int) -> ApiError:
    """503: something that the request needs is away, and the client may try again."""
    return ApiError(503, code, detail, headers={"Retry-After": str(retry_seconds)})


def invalid(error: ValidationError | RequestValidationError) -> ApiError:
    """422, naming the fields that pydantic refuses; 400 if the body is no JSON at all."""
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        reason = found[0].get("ctx", {}).get("error", "")
        return ApiError(400, "invalid_json", f"the body is not JSON: {reason}")
    errors = [
        FieldError(field=_field(item), message=message_of(item)) for item in found[:MAX_ERRORS]
    ]
    detail = "; ".join(f"{item.field}: {item.message}" for item in errors)
    if len(found) > MAX_ERRORS:
        detail += f"; and {len(found) - MAX_ERRORS:,} more"
    return ApiError(422, "invalid_request", detail, errors=errors)


def _field(error: Mapping[str, Any]) -> str:
    path = [str(part) for part in error["loc"] if not _TYPE_IN_PATH.fullmatch(str(part))]
    if len(path) > 1 and path[0] in _PLACES:
        del path[0]
    return ".".join([*path, error.get("ctx", {}).get("field", "")]).strip(".")


def message_of(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says, in our words where we have some."""
    if error["type"] == "misfit":
        return str(error["ctx"]["problem"])
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    return str(error["msg"]).removeprefix("Value error, ")


def _render(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


def _render_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid(error).response()


def _render_http(request: Request, error: Exception) -> Response:
    """Answers of the framework itself: unknown path, wrong method, unreadable body."""
    assert isinstance(error, HTTPException)
    if error.status_code < 400:
        return Response(status_code=error.status_code, headers=error.headers)
    code = _CODES.get(error.status_code, "http_error")
    headers, detail, path = dict(error.headers or {}), str(error.detail), request.url.path
    if error.status_code == 404:
        detail = f"there is nothing at {path}; /docs lists what there is"
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
        detail = f"{path} does not take {request.method}, but {headers['Allow']}"
    return ApiError(error.status_code, code, detail, headers=headers).response()


def _methods(request: Request) -> list[str]:
    """All methods of a path; the framework names those of the first route with this path only."""
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(
            route.matches({**request.scope, "method": method})[0] == Match.FULL
            for route in request.app.routes
        )
    ]


def _render_gone(_request: Request, _error: Exception) -> Response:
    """The client went away; the status is for the log only."""
    return Response(status_code=499)


def _render_transition(_request: Request, error: Exception) -> Response:
    assert isinstance(error, IllegalTransition)
    return ApiError(409, "illegal_transition", str(error)).response()


def database_away(error: DBAPIError) -> ApiError:
    """503 if trying again may help; any other error of the database is ours, and raised again."""
    if not is_away(error):
        raise error
    log.warning("the database does not answer: %s", error.orig)
    return unavailable("database_unavailable", "the database does not answer", RETRY_SECONDS)


def _render_database(_request: Request, error: Exception) -> Response:
    assert isinstance(error, DBAPIError)
    return database_away(error).response()


def _render_unexpected(request: Request, _error: Exception) -> Response:
    """The server's log has the traceback; the client learns nothing of our insides."""
    detail = f"{request.method} {request.url.path} failed unexpectedly; the server's log says why"
    response = ApiError(500, "internal", detail).response()
    secure(response.headers)  # this answer is made outside of all middleware
    if (context := current()) is not None:
        response.headers["X-Request-ID"] = context.id
    return response


def _render_bucket(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BucketError)
    log.warning("%s", error)
    return unavailable("artifacts_unavailable", str(error), RETRY_SECONDS).response()


def add_handlers(app: FastAPI) -> None:
    """Make every error of the application a problem."""
    app.add_exception_handler(ApiError, _render)
    app.add_exception_handler(RequestValidationError, _render_invalid)
    app.add_exception_handler(HTTPException, _render_http)
    app.add_exception_handler(ClientDisconnect, _render_gone)
    app.add_exception_handler(IllegalTransition, _render_transition)
    app.add_exception_handler(DBAPIError, _render_database)
    app.add_exception_handler(BucketError, _render_bucket)
    app.add_exception_handler(Exception, _render_unexpected)
